# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the programs under test are, and how much slower than usual they may be.

"meson test --setup sanitizers" and "--setup valgrind" (tests/meson.build) set P2PCHAT_SLOW, by which
every deadline is multiplied, and for valgrind P2PCHAT_PROGRAMS, a build directory's stand-in in
which each program is a link to under-valgrind. "--setup shaken" sets P2PCHAT_SHAKE, what is preloaded
into the programs (tests/integration/shake.c).
"""
import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("P2PCHAT_BUILD") or TOP / "build")
PROGRAMS = pathlib.Path(os.environ.get("P2PCHAT_PROGRAMS") or BUILD)
SLOW = int(os.environ.get("P2PCHAT_SLOW") or 1)
SHAKE = os.environ.get("P2PCHAT_SHAKE")         # a library, or none

# What a broken program will not do is waited for in vain: so many seconds at most (tests/mutants).
PATIENCE = float(os.environ.get("P2PCHAT_PATIENCE") or "inf")


def options():
    """What a program or a sanitizer in it needs, for an environment made from nothing."""
    preloaded = {"LD_PRELOAD": SHAKE} if SHAKE else {}
    return preloaded | {name: value for name, value in os.environ.items()
                        if name.endswith("SAN_OPTIONS")}


def in_valgrind():
    return PROGRAMS != BUILD


def instrumented():
    """Run so that figures of memory and time say nothing about the program."""
    return in_valgrind() or any(
        name in (BUILD / "daemon/p2pchatd").read_bytes() for name in (b"__asan_init", b"__tsan_init"))
