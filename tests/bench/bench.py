#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench.py ROW...: measures, and prints a line of JSON for each figure.

The file `rows` names what there is. Each is measured with the real programs on this machine, beside
the limit that the same disk, the same TLS and the same bus give in the same run. It fails when
something breaks, never because of a time.
"""
import os
import pathlib
import sys

sys.dont_write_bytecode = True
import measure  # noqa: E402,F401 - finds the harness
import at_rest  # noqa: E402
import big_room  # noqa: E402
import handover  # noqa: E402
import harness  # noqa: E402
import history  # noqa: E402
import idle  # noqa: E402
import instructions  # noqa: E402
import messages  # noqa: E402
import nearby  # noqa: E402
import others  # noqa: E402
import passwords  # noqa: E402
import rooms  # noqa: E402
import sealing  # noqa: E402
import tracker  # noqa: E402
import tries  # noqa: E402

ROWS = {
    "pipelined": messages.pipelined, "one-message": messages.one_message, "link": messages.link,
    "idle": idle.idle, "start": idle.start, "lan": nearby.nearby,
    "room": rooms.room, "big-room": big_room.big_room, "million": messages.million,
    "history": history.history, "handover": handover.handover,
    "tracker": tracker.tracker, "registrations": tracker.registrations,
    "mailboxes": tracker.mailboxes,
    "connections": tracker.connections, "instructions": instructions.instructions,
    "sealed": at_rest.sealed, "sealing": sealing.sealing, "passwords": passwords.passwords,
    "tries": tries.tries,
    "others": others.others,
}


def known_rows():
    lines = pathlib.Path(__file__).with_name("rows").read_text().splitlines()
    return [line.partition(":")[0] for line in lines if not line.startswith("#")]


def main():
    for name in sys.argv[1:] or known_rows():
        os.sync()       # what the row before has written is not this one's to wait for
        lab = harness.Lab()
        try:
            ROWS[name](lab)
        except BaseException:
            print(lab.logs(), file=sys.stderr)
            raise
        finally:
            lab.close()


if __name__ == "__main__":
    main()
