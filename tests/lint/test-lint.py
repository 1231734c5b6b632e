#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint finds what it is for: small bad trees, and for each the lines that must be named."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import lint  # noqa: E402

SPDX = "SPDX-" "License-Identifier: GPL-3.0-or-later"
HEAD = f"/* {SPDX} */\n"
UNFINISHED = "TO" "DO"
MACHINE = "/wo" "rk/main"

# Files of a tree → what must be found in it: "file:line rule". The rest must be clean.
CASES = {
    "a good tree": ({
        "daemon/util/a.c": HEAD + '#include "util/a.h"\n\n#include <stdio.h>\n',
        "daemon/util/a.h": HEAD + "#pragma once\n",
        "daemon/net/a.c": HEAD + '#include <gnutls/gnutls.h>\n\n#include "wire/a.h"\n',
        "daemon/manager.c": HEAD + '#include <systemd/sd-event.h>\n\n#include "manager.h"\n#include "ring/a.h"\n',
        "daemon/net/loop-sd-event.c": HEAD + "#include <systemd/sd-event.h>\n",
        "cli/a.c": HEAD + '#include <systemd/sd-bus.h>\n\n#include "cli/a.h"\n#include "util/a.h"\n',
        "tests/unit/test-a.c": HEAD + '#include <lmdb.h>\n\n#include "ring/a.h"\n',
        "README.md": "# No comment in here  \n",
        "tests/data/a.txt": "as it came \n",
        "tools/a": f"#!/bin/sh\n# {SPDX}\nmktemp -d a.XXXX" "XX\n",
    }, []),
    "a folder that looks up": ({
        "daemon/util/a.c": HEAD + '#include "wire/a.h"\n',
        "daemon/store/a.c": HEAD + '\n#include "util/a.h"\n#include "link/a.h"\n',
        "daemon/bus/a.c": HEAD + '#include "store/a.h"\n',
        "cli/a.c": HEAD + '#include "chat/a.h"\n',
    }, ["daemon/util/a.c:2 layers", "daemon/store/a.c:4 layers", "daemon/bus/a.c:2 layers",
        "cli/a.c:2 layers"]),
    "a folder nobody knows, an include without its folder": ({
        "daemon/misc/a.c": HEAD,
        "daemon/net/b.c": HEAD + '#include "b.h"\n',
    }, ["daemon/misc/a.c:1 layers", "daemon/net/b.c:2 layers"]),
    "libraries where they do not belong": ({
        "daemon/store/a.c": HEAD + "#include <lmdb.h>\n",
        "daemon/chat/a.c": HEAD + "#include <libconfig.h>\n#include <gnutls/gnutls.h>\n",
        "daemon/net/a.c": HEAD + "#include <sodium.h>\n#include <systemd/sd-event.h>\n",
        "daemon/node/a.c": HEAD + "#include <systemd/sd-bus.h>\n",
        "daemon/parts.c": HEAD + "#include <systemd/sd-bus.h>\n#include <systemd/sd-event.h>\n",
    }, ["daemon/store/a.c:2 libraries", "daemon/chat/a.c:2 libraries",
        "daemon/chat/a.c:3 libraries", "daemon/net/a.c:2 libraries", "daemon/net/a.c:3 libraries",
        "daemon/node/a.c:2 libraries", "daemon/parts.c:2 libraries", "daemon/parts.c:3 libraries"]),
    "no licence line": ({
        "daemon/util/a.c": "int a;\n",
        "tools/a": "#!/bin/sh\nexit 0\n",
        "meson.build": "project('a')\n",
    }, ["daemon/util/a.c:1 spdx", "tools/a:1 spdx", "meson.build:1 spdx"]),
    "layout": ({
        "daemon/util/a.c": HEAD + "\tint a;\nint b; \n" + "x" * 101 + "\n" + "ä" * 100 + "\nint c;",
        "tools/a": f"#!/bin/sh\n# {SPDX}\nexit 0 \n",
    }, ["daemon/util/a.c:2 layout", "daemon/util/a.c:3 layout", "daemon/util/a.c:4 layout",
        "daemon/util/a.c:6 layout", "tools/a:3 layout"]),
    "too long": ({
        "daemon/util/a.c": HEAD + "static int f(int a,\n                int b) {\n" + "\n" * 98
        + "}\nint g(void) {\n" + "\n" * 98 + "}\nint table[] = {\n" + "\n" * 200 + "};\n",
        "daemon/util/b.c": HEAD + "\n" * 800,
    }, ["daemon/util/a.c:2 sizes", "daemon/util/b.c:801 sizes"]),
    "words": ({
        "daemon/util/a.c": HEAD + f"/* {UNFINISHED}: later */\n",
        "README.md": f"cd {MACHINE}\n",
    }, ["daemon/util/a.c:2 words", "README.md:1 words"]),
    "forbidden functions": ({
        "daemon/util/a.c": HEAD + '/* strcpy() */\n"gets(";\nloop->random(1);\nstrcpy(a, b);\n'
        "sprintf(a);\n",
        "cli/a.c": HEAD + "sleep(1);\n",
        "tests/unit/a.c": HEAD + "sleep(1);\n",
    }, ["daemon/util/a.c:5 functions", "daemon/util/a.c:6 functions", "cli/a.c:2 functions"]),
}

# Folder → C code; calls that no include line shows.
LIBRARIES = {
    "util": "int util_a(void);\nint util_a(void) { return 0; }\n",
    "store": "int util_a(void);\nint store_a(void);\nint store_a(void) { return util_a(); }\n",
    "net": "int store_a(void);\nint net_a(void);\nint net_a(void) { return store_a(); }\n",
    "link": "int manager_a(void);\nint link_a(void);\nint link_a(void) { return manager_a(); }\n",
}


def write(top, files):
    for name, text in files.items():
        path = pathlib.Path(top) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def compare(found, expected):
    told = [f"{finding.path}:{finding.line} {finding.rule}"
            for of_rule in found.values() for finding in of_rule]
    for line in sorted(set(told) ^ set(expected)):
        print(f"# {line}: {'must not be found' if line in told else 'must be found'}")
    return sorted(told) == sorted(expected)


def check_case(files, expected):
    with tempfile.TemporaryDirectory() as top:
        write(top, files)
        return compare(lint.findings(top), expected)


def compile_to(source, target, archive=None):
    target.parent.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-c", "-o", target, source], check=True)
    if archive:
        subprocess.run(["ar", "csrDT", archive, target], check=True)


def check_symbols():
    with tempfile.TemporaryDirectory() as folder:
        top, daemon = pathlib.Path(folder) / "tree", pathlib.Path(folder) / "build/daemon"
        for name, code in LIBRARIES.items():
            source = top / f"daemon/{name}/x-{name}.c"
            write(top, {f"daemon/{name}/x-{name}.c": HEAD + code})
            compile_to(source, daemon / f"{name}/lib{name}.a.p/x-{name}.c.o",
                       daemon / f"{name}/lib{name}.a")
        write(top, {"daemon/manager.c": HEAD + "int manager_a(void) { return 0; }\n",
                    "daemon/wire/a.c": HEAD})
        compile_to(top / "daemon/manager.c", daemon / "p2pchatd.p/manager.c.o")
        return compare(lint.findings(top, daemon.parent),
                       ["daemon/net/x-net.c:1 symbols", "daemon/link/x-link.c:1 symbols",
                        "daemon/wire/meson.build:1 symbols"])


def main():
    failed = 0
    print(f"1..{len(CASES) + 1}")
    for number, (name, case) in enumerate(CASES.items(), 1):
        good = check_case(*case)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    good = check_symbols()
    failed += not good
    print(f"{'ok' if good else 'not ok'} {len(CASES) + 1} - symbols that no include line shows")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
