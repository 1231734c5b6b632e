#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""lint.py [--build DIR] TREE: the rules of this project that a script can check.

One line of TAP a rule; what breaks it is printed as "# file:line: rule: what to do". With --build,
the static libraries in DIR are read too: include lines can be right while a symbol is not.
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import typing

# The layer table of docs/ARCHITECTURE.md, lowest first: what a folder may include, itself aside.
# Files directly in daemon/ wire the parts together and may include everything.
LAYERS = {
    "util": "",
    "config": "util",
    "crypto": "util",
    "wire": "util crypto",
    "ring": "util crypto wire",
    "db": "util",
    "store": "util crypto wire db",
    "net": "util crypto wire",
    "link": "util crypto wire net",
    "session": "util crypto wire net",
    "directory": "util crypto wire net session",
    "delivery": "util crypto wire store link session directory",
    "account": "util crypto wire store link session directory",
    "rooms": "util crypto wire store link session",
    "handover": "util crypto wire store link",
    "chat": "util config crypto wire db store link session directory delivery account rooms handover",
    "bus": "util chat",
    "system": "util",
    "node": "util config crypto wire ring db net",
    "cli": "util",
}
LAYERS = {folder: set(allowed.split()) for folder, allowed in LAYERS.items()}

# Who alone uses a library: folders, and files of daemon/.
LIBRARIES = (
    (r"libconfig\.h", "config"),
    (r"lmdb\.h", "db"),
    (r"gnutls/.*", "crypto net"),
    (r"sodium(\.h|/.*)", "crypto"),
    (r"qrencode\.h", "bus"),
    (r"readline/.*", "chat-screen.c"),
    (r"systemd/sd-bus.*", "bus system cli"),
    (r"systemd/sd-event\.h", "net/loop-sd-event.c bus system manager.c p2pchatd.c p2pchat-tracker.c"),
)

FORBIDDEN = {
    "strcpy": "copy with a known length",
    "strcat": "append with a known length",
    "sprintf": "use snprintf or asprintf",
    "vsprintf": "use vsnprintf or vasprintf",
    "gets": "use getline",
    "rand": "take randomness from struct Loop",
    "srand": "take randomness from struct Loop",
    "random": "take randomness from struct Loop",
    "sleep": "never block: set a timer",
    "usleep": "never block: set a timer",
    "nanosleep": "never block: set a timer",
}

COLUMNS = 100
FILE_LINES = 800
FUNCTION_LINES = 100

# Put together from parts, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX")) + r")\b")
MACHINE = re.compile(r"(?<![\w.$})*/-])/(?:wo" r"rk|tm" r"p/b)(?![\w-])|\bfa" r"rm\b")

# No comment fits in, or no comment belongs in; metainfo has a licence of its own, see debian/copyright.
NO_SPDX = re.compile(
    r"(^|/)LICENSE$|\.(md|json|svg|png|metainfo\.xml)$|^tests/data/|/corpus/|"
    r"^debian/(changelog|(tests/)?control|copyright|source/|[^/]*\.(docs|install|README\.Debian)$)")


class Finding(typing.NamedTuple):
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class Tree:
    """The files of a source tree, as paths relative to it, and the text of each."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        self.texts = {}
        for path in self.list():
            data = (self.top / path).read_bytes()
            if b"\0" not in data:
                self.texts[path] = data.decode("utf-8", "replace")
        self.c = {path: text for path, text in self.texts.items() if path.endswith((".c", ".h"))}

    def list(self):
        git = subprocess.run(["git", "-C", self.top, "ls-files", "-coz", "--exclude-standard"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False) \
            if (self.top / ".git").exists() and which("git") else None
        if git and git.returncode == 0:
            names = git.stdout.decode().split("\0")
        else:
            names = list(self.walk())
        return sorted({name for name in names if name and (self.top / name).is_file()
                       and not (self.top / name).is_symlink()})

    def walk(self):
        """Without git: all but hidden folders, build directories and what Python leaves."""
        for folder, folders, files in os.walk(self.top):
            folders[:] = [name for name in folders if name not in (".git", "__pycache__")
                          and not name.startswith("build-")  # of tools/fuzz and tools/matrix
                          and not (pathlib.Path(folder) / name / "meson-private").exists()]
            for name in files:
                yield str((pathlib.Path(folder) / name).relative_to(self.top))


def which(program):
    return any(os.access(os.path.join(folder, program), os.X_OK)
               for folder in os.environ.get("PATH", os.defpath).split(":"))


def code_only(text):
    """C with comments and what is in quotes blanked out; lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def place(path):
    """The row of the table a file belongs to: a folder of daemon/, "main", "cli", or None."""
    parts = path.split("/")
    if parts[0] == "cli":
        return "cli"
    if parts[0] != "daemon":
        return None
    return parts[1] if len(parts) > 2 else "main"


def check_layers(tree):
    for path, text in tree.c.items():
        own = place(path)
        if own and own != "main" and own not in LAYERS:
            yield Finding(path, 1, "layers", f"{own}/ is not in the table of tests/lint/lint.py")
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not own or not found:
                continue
            folder, slash, _ = found[1].partition("/")
            if not slash and own != "main":
                yield Finding(path, number, "layers", f'include "folder/{found[1]}"')
            elif own != "main" and folder not in (own, *LAYERS.get(own, ())):
                allowed = ", ".join(sorted(LAYERS.get(own, ()))) or "nothing"
                yield Finding(path, number, "layers",
                              f"{own}/ may not include {folder}/ (only {allowed})")


def check_libraries(tree):
    for path, text in tree.c.items():
        own = place(path)
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if not own or not found:
                continue
            for pattern, owners in LIBRARIES:
                owners = owners.split()
                file = path.partition("/")[2]
                if re.fullmatch(pattern, found[1]) and own not in owners and file not in owners:
                    yield Finding(path, number, "libraries",
                                  f"<{found[1]}> belongs to {', '.join(owners)} alone")


def check_spdx(tree):
    for path, text in tree.texts.items():
        head = text.splitlines()[:3]
        if text.strip() and not NO_SPDX.search(path) and not any(
                "SPDX-" "License-Identifier: GPL-3.0-or-later" in line for line in head):
            yield Finding(path, 1, "spdx", "begin with SPDX-" "License-Identifier: GPL-3.0-or-later")


def check_layout(tree):
    for path, text in tree.texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and not path.endswith(".md") and not NO_SPDX.search(path):
                yield Finding(path, number, "layout", "blanks at the end of the line")
    for path, text in tree.c.items():
        for number, line in enumerate(text.splitlines(), 1):
            if "\t" in line:
                yield Finding(path, number, "layout", "a tab: indent with 8 blanks")
            if len(line) > COLUMNS:
                yield Finding(path, number, "layout", f"{len(line)} columns, at most {COLUMNS}")
        if not text.endswith("\n"):
            yield Finding(path, text.count("\n") + 1, "layout", "no newline at the end")


def check_sizes(tree):
    for path, text in tree.c.items():
        lines = code_only(text).splitlines()
        if len(lines) > FILE_LINES:
            yield Finding(path, FILE_LINES + 1, "sizes",
                          f"{len(lines)} lines, at most {FILE_LINES}: one subject a file")
        start = None
        for number, line in enumerate(lines, 1):
            if re.match(r"[A-Za-z_]", line):
                start = number
            elif line.rstrip() == "}" and start and "(" in lines[start - 1]:
                if number - start + 1 > FUNCTION_LINES:
                    yield Finding(path, start, "sizes", f"a function of {number - start + 1} lines, "
                                  f"at most {FUNCTION_LINES}")
                start = None


def check_words(tree):
    for path, text in tree.texts.items():
        if path == "LICENSE":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if found := UNFINISHED.search(line):
                yield Finding(path, number, "words", f"{found[0]}: finish it, or open an issue")
            if found := MACHINE.search(line):
                yield Finding(path, number, "words", f"{found[0]}: names somebody's machine")


def check_functions(tree):
    calls = re.compile(r"(?<![\w.>])(" + "|".join(FORBIDDEN) + r")\s*\(")
    for path, text in tree.c.items():
        if not place(path):
            continue
        for number, line in enumerate(code_only(text).splitlines(), 1):
            for found in calls.finditer(line):
                yield Finding(path, number, "functions",
                              f"{found[1]}() is not used here: {FORBIDDEN[found[1]]}")


def read_symbols(files):
    """(defined, undefined) names of objects and archives; an undefined one with its object."""
    defined, undefined = set(), {}
    listing = subprocess.run(["nm", "-A", "-P", "-g", *files], stdout=subprocess.PIPE, check=True,
                             stderr=subprocess.DEVNULL, encoding="utf-8").stdout
    for line in listing.splitlines():
        where, _, rest = line.partition(": ")
        name, kind = rest.split()[:2]
        if kind == "U":
            undefined.setdefault(name, re.sub(r".*\[|\].*|.*/", "", where))
        elif kind not in "wv":
            defined.add(name)
    return defined, undefined


def check_symbols(tree, build):
    daemon = pathlib.Path(build) / "daemon"
    folders = {place(path) for path in tree.c if path.startswith("daemon/") and
               path.endswith(".c")} - {"main"}
    owners, open_ends = collections.defaultdict(set), {}
    for folder in sorted(folders):
        library = daemon / folder / f"lib{folder}.a"
        if not library.exists():
            yield Finding(f"daemon/{folder}/meson.build", 1, "symbols",
                          f"does not make the static library {library.name}")
            continue
        defined, open_ends[folder] = read_symbols([library])
        for name in defined:
            owners[name].add(folder)
    mains = [str(path) for path in daemon.glob("*.p/*.o")]
    for name in read_symbols(mains)[0] - {"main"} if mains else ():
        owners[name].add("main")

    for folder, names in open_ends.items():
        allowed = {folder} | LAYERS.get(folder, set())
        for name, where in sorted(names.items()):
            if owners[name] and not owners[name] & allowed:
                yield Finding(f"daemon/{folder}/{source_of(where)}", 1, "symbols",
                              f"uses {name} of {', '.join(sorted(owners[name]))}/, which "
                              f"{folder}/ may not know: pass a function in a struct")


def source_of(member):
    """meson names an object after its source, with the folders before it on some versions."""
    return re.sub(r"\.o$", "", re.split(r"_(?=[^_]*\.c\.o$)", member)[-1])


RULES = {
    "layers": check_layers, "libraries": check_libraries, "spdx": check_spdx,
    "layout": check_layout, "sizes": check_sizes, "words": check_words,
    "functions": check_functions,
}


def findings(top, build=None):
    """Rule → what breaks it."""
    tree = Tree(top)
    found = {rule: list(check(tree)) for rule, check in RULES.items()}
    if build:
        found["symbols"] = list(check_symbols(tree, build))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build")
    parser.add_argument("tree")
    arguments = parser.parse_args()

    found = findings(arguments.tree, arguments.build)
    for number, (rule, broken) in enumerate(found.items(), 1):
        for finding in broken:
            print(f"# {finding}")
        print(f"{'not ok' if broken else 'ok'} {number} - {rule}")
    print(f"1..{len(found)}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
