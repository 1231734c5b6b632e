# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that read a daemon's events: one that outlives the daemon, one that forgets."""
PAGE = 50


class Reader:
    """What a client has seen so far, and from where it goes on."""

    def __init__(self, user):
        self.user = user
        self.cursor = 0
        self.arrived = []                       # ids of others' messages, as often as they came
        self.delivered = []                     # ids of own messages

    def page(self):
        return self.user.call("ListEvents", "tua{sv}", self.cursor, PAGE, {})

    def take(self, event):
        if event["event"] == "MessageReceived":
            self.arrived.append(event["id"])
        elif event["event"] == "MessageStateChanged" and event["state"] == "delivered":
            self.delivered.append(event["id"])

    def read_page(self):
        """False when there is nothing new."""
        events, after = self.page()
        assert all(event["event"] != "Gap" for event in events)
        assert all(event["cursor"] > self.cursor for event in events), "an event came again"
        for event in events:
            self.take(event)
        self.cursor = after
        return bool(events)

    def read(self):
        while self.read_page():
            pass


class Survivor(Reader):
    """Keeps its cursor: each message exactly once, in order."""

    def check(self, arrived, delivered):
        self.read()
        assert self.arrived == arrived
        assert sorted(self.delivered) == sorted(delivered), "each was delivered once"


class Forgetful(Reader):
    """Loses its memory now and then; the daemon knows how far it has acknowledged."""

    NAME = "forgetful"

    def __init__(self, user, generator):
        super().__init__(user)
        self.generator = generator
        self.acknowledged = 0
        self.ids = {}                           # cursor → id, of every event ever seen

    def page(self):
        return self.user.call("ListEvents", "tua{sv}", self.cursor, self.generator.randint(1, PAGE),
                              {"client": self.NAME})

    def take(self, event):
        assert event["cursor"] > self.acknowledged, "what was acknowledged came again"
        known = self.ids.setdefault(event["cursor"], event.get("id"))
        assert known == event.get("id"), "one cursor for two events"
        super().take(event)

    def read_some(self):
        """Reads on, acknowledges or not, and perhaps crashes."""
        for _ in range(self.generator.randint(0, 3)):
            if self.read_page() and self.generator.random() < 0.5:
                self.user.call("AckEvents", "sta{sv}", self.NAME, self.cursor, {})
                self.acknowledged = self.cursor
            if self.generator.random() < 0.3:
                self.cursor = 0

    def check(self, arrived, delivered):
        self.read()
        assert list(dict.fromkeys(self.arrived)) == arrived, "each at least once, in order"
        assert set(self.delivered) == set(delivered)


class Readers:
    """One of each kind for each of the two."""

    def __init__(self, talks, generator):
        self.talks = talks
        self.of = {t.user: (Survivor(t.user), Forgetful(t.user, generator)) for t in talks}

    def read(self):
        for survivor, forgetful in self.of.values():
            survivor.read()
            forgetful.read_some()

    def check(self):
        for t in self.talks:
            rows = t.user.history(t.other.name)
            arrived = [row["id"] for row in rows if row["from"] == t.other.name]
            delivered = [row["id"] for row in rows if row["from"] == t.user.name]
            for reader in self.of[t.user]:
                reader.check(arrived, delivered)
