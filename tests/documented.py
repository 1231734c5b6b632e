# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of README and manual pages that talk to the daemon without chatc, as one copies them."""
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", *sorted((TOP / "docs/man").iterdir())]
TOOLS = "(?:busctl|gdbus|dbus-send|dbus-monitor)"
ROFF = {"\\-": "-", "\\(aq": "'", "\\(dq": '"', "\\e": "\\"}


def shown(page):
    """PAGE as its reader sees it, but for fonts."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".md":
        for escape, character in ROFF.items():
            text = text.replace(escape, character)
    return text


def lines():
    """Each as it stands there, over several lines if it goes on behind a backslash."""
    found = []
    for page in PAGES:
        text = shown(page)
        here = re.findall(rf"^ *({TOOLS} (?:.*\\\n)*.*)$", text, re.M)
        # One in the middle of a sentence would be found here and run nowhere.
        calls = rf"{TOOLS} (?:[a-z]+ )?-"
        assert len(re.findall(calls, text)) == len(here), f"{page}: {here}"
        found += here
    assert found
    return found
