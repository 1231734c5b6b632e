#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""probe.py FILE: tries what a sandbox should prevent, one thing after the other, and writes to FILE
how each went: {"what": "done" or the name of the error}. Runs in the unit's sandbox instead of its
program, and outside of it, where the same things have to be possible. What to try is in
/etc/probe.json: paths to "write" below, to "read", and a "victim" to trace.
"""
import ctypes
import errno
import json
import mmap
import os
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)

PTRACE_SEIZE = 0x4206
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


def call(function, *arguments):
    result = getattr(libc, function)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def write_below(folder):
    path = f"{folder}/probe-{os.getpid()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink(path)


def read(path):
    with open(path, "rb") as file:
        file.read(1)


def write_again(path):
    """What is in it already."""
    with open(path, "rb+", buffering=0) as file:
        file.write(file.read(64))


def trace(pid):
    """Until we end."""
    call("ptrace", PTRACE_SEIZE, pid, None, None)


def in_child(function):
    """For what cannot be undone."""
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def make_user_namespace():
    call("unshare", CLONE_NEWUSER)


def mount():
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    call("mount", b"none", b"/", None, 0x4000 | 0x40000, None)      # MS_REC, MS_PRIVATE
    call("mount", b"none", b"/mnt", b"tmpfs", 0, None)


def make_executable(by_mprotect):
    both = mmap.PROT_READ | mmap.PROT_WRITE
    if not by_mprotect:
        mmap.mmap(-1, 4096, prot=both | mmap.PROT_EXEC).close()
        return
    memory = mmap.mmap(-1, 4096, prot=both)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    call("mprotect", ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC)


def become_root():
    """By a copy of id(1) that is setuid."""
    said = subprocess.run(["/usr/local/bin/root-id", "-u"], check=True, stdout=subprocess.PIPE)
    if said.stdout.strip() != b"0":
        raise PermissionError(errno.EPERM, "stayed who I was")


def use_terminal(_):
    """One of the user's own."""
    all_of_them = [f"/dev/pts/{name}" for name in os.listdir("/dev/pts")]
    own = [path for path in all_of_them if os.stat(path).st_uid == os.getuid()]
    os.close(os.open(own[0] if own else "/dev/pts/none", os.O_RDWR | os.O_NOCTTY))


def writable_folders():
    """All there are, but what lies in /proc."""
    found = []
    for top, folders, _ in os.walk("/"):
        if top == "/":
            folders.remove("proc")
        if os.access(top, os.W_OK):
            found.append(top)
    return found


def attempts(plan):
    yield from ((f"write {path}", write_below, path) for path in plan["write"])
    yield from ((f"read {path}", read, path) for path in plan["read"])
    yield "tunables", write_again, "/proc/sys/net/ipv4/ip_forward"
    yield "terminal", use_terminal, None
    yield "trace", trace, plan["victim"]
    yield "environment of others", read, f"/proc/{plan['victim']}/environ"
    yield "to be traced", in_child, lambda: call("ptrace", 0, None, None, None)
    yield "user namespace", in_child, make_user_namespace
    yield "mount", in_child, mount
    yield "mprotect", make_executable, True
    yield "mmap", make_executable, False
    yield "root", lambda _: become_root(), None
    yield "netlink", lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(), None
    yield "vsock", lambda _: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(), None
    yield "packets", lambda _: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(), None
    yield "raw", lambda _: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(), None
    yield "personality", lambda _: call("personality", 0x0040000), None     # ADDR_NO_RANDOMIZE
    yield "priority", in_child, lambda: os.nice(1)
    yield "real time", lambda _: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)), None
    yield "keys", lambda _: call("syscall", 250, 0, -3, 0), None            # keyctl, of the session


def main():
    with open("/etc/probe.json", encoding="utf-8") as file:
        plan = json.load(file)
    results = {}
    for name, function, argument in attempts(plan):
        try:
            function(argument)
            results[name] = "done"
        except OSError as error:
            results[name] = errno.errorcode.get(error.errno, str(error))
    report = {"results": results, "folders": writable_folders(), "devices": os.listdir("/dev")}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(report, file)


if __name__ == "__main__":
    main()
