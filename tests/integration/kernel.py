# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of a process."""
import contextlib
import os
import pathlib
import re


def sockets(pid):
    """Inodes of the sockets of a process, which opens and closes files meanwhile."""
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry)):
                found.add(match.group(1))
    return found


def listening_ports(pid):
    """TCP ports a process listens on."""
    inodes = sockets(pid)
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return sorted(ports)


def connections(pid):
    """Inodes of the established TCP connections of a process."""
    inodes = sockets(pid)
    return {fields[9] for table in ("tcp", "tcp6") for fields in map(
        str.split, pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:])
            if fields[3] == "01" and fields[9] in inodes}


def connected_ports(pid, port, address="127.0.0.1"):
    """Ports of ADDRESS that are connected to PORT here: the same ones are the same connections."""
    numeric = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            here, there = (field.rsplit(":", 1) for field in fields[1:3])
            if fields[3] == "01" and int(here[1], 16) == port and there[0].endswith(numeric):
                ports.add(int(there[1], 16))
    return ports


def waiting_connections(port):
    """TCP connections to PORT that nobody has accepted yet."""
    waiting = 0
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                waiting += int(fields[4].split(":")[1], 16)
    return waiting


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def anonymous_memory(pid):
    """Bytes of memory that is the process' own and no file's."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+) kB", rollup, re.MULTILINE).group(1)) * 1024


def processor_time(pid):
    """Seconds of a processor that it has had."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
