# SPDX-License-Identifier: GPL-3.0-or-later
"""Many messages at once: texts of every shape, and a client that keeps a window of calls open."""
import random
import uuid

from gi.repository import Gio, GLib

import harness

# Characters of one to four bytes, with the awkward among them: controls, bidi marks, combining
# marks, the last one there is. No noncharacters: D-Bus libraries disagree on those.
RANGES = ((0x01, 0x1F), (0x20, 0x7E), (0x80, 0x7FF), (0x300, 0x36F), (0x800, 0x2FFF),
          (0x4E00, 0x9FFF), (0xE000, 0xFDCF), (0x1F300, 0x1FAFF), (0x100000, 0x10FFFD))
MAX_TEXT = 65536


def text_of(generator, size, pool):
    """Exactly size bytes of UTF-8."""
    text = "".join(generator.choices(pool, k=size // 2 + 1)).encode()[:size]
    text = text.decode(errors="ignore")
    return text + "x" * (size - len(text.encode()))


def texts(count, seed):
    """Mostly short, some long: about 0.9 KiB in the mean, with 1 byte and 64 KiB among them."""
    generator = random.Random(seed)
    pool = [chr(generator.randint(*generator.choice(RANGES))) for _ in range(4096)]
    sizes = [int(4096 ** generator.random()) if generator.random() < 0.98
             else int(4096 * 16 ** generator.random()) for _ in range(count)]
    sizes[: 2] = 1, MAX_TEXT
    generator.shuffle(sizes)
    return [text_of(generator, size, pool) for size in sizes]


class Flood:
    """Calls Send for each text, in order, with at most window calls unanswered."""

    def __init__(self, user, to, bodies, window=256, with_ids=False):
        self.user = user
        self.to = to
        self.bodies = bodies
        self.window = window
        self.ids = [str(uuid.uuid4()) if with_ids else None for _ in bodies]
        self.with_ids = with_ids
        self.answered = set()                   # index of each text that got an id
        self.errors = {}                        # index → BusError
        self.next = 0
        self.in_flight = 0
        self.halted = False

    def start(self):
        while self.in_flight < self.window and self.next < len(self.bodies) and not self.halted:
            self.call(self.next)
            self.next += 1
        return self

    def call(self, index):
        more = {"id": GLib.Variant("s", self.ids[index])} if self.with_ids else {}
        self.in_flight += 1
        self.user.connection.call(
            harness.NAME, harness.PATH, harness.NAME, "Send",
            GLib.Variant("(ssa{sv})", (self.to, self.bodies[index], more)), None,
            Gio.DBusCallFlags.NO_AUTO_START, 600000, None, self.on_answer, index)

    def on_answer(self, connection, task, index):
        self.in_flight -= 1
        try:
            given = connection.call_finish(task).unpack()[0]
            if self.with_ids and given != self.ids[index]:
                self.errors[index] = harness.BusError("other id", given)
            self.ids[index] = given
            self.answered.add(index)
        except GLib.Error as error:
            self.errors[index] = harness.error_from(error)
        self.start()

    def over(self):
        return self.in_flight == 0 and (self.halted or self.next == len(self.bodies))

    def finish(self):
        harness.wait_progress(self.over, lambda: (len(self.answered), len(self.errors)),
                              what=f"Send to {self.to} is answered")
        return self


def wait_all_delivered(user, floods, stall=120):
    """Until the sender was told of each message that the recipient has it on disk."""
    wanted = {i for flood in floods for i in flood.ids}
    place, done = [0], set()

    def count():
        for event in user.events[place[0]:]:
            if event.name == "MessageStateChanged" and event.args[2] in harness.DELIVERED:
                done.add(event.args[0])
        place[0] = len(user.events)
        return len(done)

    harness.wait_progress(lambda: count() >= len(wanted) and wanted <= done, count, stall,
                          f"{user.name}: {len(wanted)} delivered")


def check_feed(rows, author, flood):
    """The author's rows are the flood: each once, in order, unchanged."""
    mine = [row for row in rows if row["from"] == author]
    ids, wanted = [row["id"] for row in mine], flood.ids
    assert len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} messages came twice"
    assert set(ids) == set(wanted), f"{len(set(wanted) - set(ids))} messages are missing"
    swapped = [index for index, pair in enumerate(zip(ids, wanted)) if pair[0] != pair[1]]
    assert not swapped, f"{len(swapped)} messages are out of order: numbers {swapped[:20]}" \
        f" are those sent as {[wanted.index(ids[index]) for index in swapped[:20]]}"
    wrong = [index for index, row in enumerate(mine) if row["text"] != flood.bodies[index]]
    assert not wrong, f"text changed in {len(wrong)} messages, first is number {wrong[0]}"
