# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the services share."""
import re

import boot
import documented

STATE = ".local/state/p2pchat"
DROP_INS = ".config/systemd/user/p2pchatd.service.d"


def example(page, after):
    """The first one in a manual page after these words: what is documented is what runs."""
    lines = re.search(re.escape(after) + r".*?\n\.nf\n(.*?)\.fi\n", documented.shown(
        documented.TOP / "docs/man" / page), re.DOTALL)[1]
    return "\n".join(line.strip() for line in lines.splitlines()) + "\n"


def drop_in(user, text):
    """For p2pchatd.service, in force after the next start; None takes it away."""
    if text is None:
        user.run("rm", "-rf", f"{user.home}/{DROP_INS}")
    else:
        user.put(f"{user.home}/{DROP_INS}/test.conf", text)
    user.systemctl("daemon-reload")


def tracker_drop_in(box, text):
    folder = "/run/systemd/system/p2pchat-tracker.service.d"
    if text is None:
        box.run("rm", "-rf", folder)
    else:
        box.put(f"{folder}/test.conf", text)
    box.systemctl("daemon-reload")


def set_up_tracker(box, more=""):
    """Its address, for users of the same box, which has no other network than a loopback."""
    box.put("/etc/p2pchat/p2pchatd.conf", 'listen = { address = "127.0.0.1"; };\n')
    box.put("/etc/p2pchat/p2pchat-tracker.conf", 'advertise = "127.0.0.1";\n'
            f"limits = {{ registrations-per-hour = 0; per-address = 0; }};\n{more}")
    address = box.run("p2pchat-tracker", "--print-address").stdout.strip()
    box.systemctl("reload", "p2pchat-tracker")
    boot.wait_until(lambda: box.show("StatusText").startswith(f"{address}: "), "the reload")
    return address


def register(address, *users):
    for user in users:
        user.chatc("register", user.name, "--no-password", "--tracker", address)


def exchange(one, other, text):
    """In both directions."""
    for sender, receiver in ((one, other), (other, one)):
        words = f"{text}, {receiver.name}"
        sender.chatc("send", "--wait", "delivered", "--timeout", "60", receiver.name, words)
        assert words in receiver.chatc("history", sender.name)
