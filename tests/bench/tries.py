# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the time of an answer tells who tries a password what he is not told: that there is no
such name, or that he has tried too often."""
import contextlib
import itertools
import math
import random

from guesser import Guesser
from measure import few, report, summary

SESSION = 3                     # tries of each kind over one session
OF_ONE, AT_ACCOUNT = 10, 100    # so many are answered: from one address, and in all
CONFIG = "limits = { registrations-per-hour = 0; per-address = 0; };"


def kolmogorov_smirnov(a, b):
    """The probability that two samples of one distribution are as far apart (asymptotic)."""
    a, b = sorted(a), sorted(b)
    values = sorted(a + b)
    i = j = 0
    far = 0.0
    for value in values:
        while i < len(a) and a[i] <= value:
            i += 1
        while j < len(b) and b[j] <= value:
            j += 1
        far = max(far, abs(i / len(a) - j / len(b)))
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    x = (size + 0.12 + 0.11 / size) * far
    if x < 0.2:
        return 1.0
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2)
                                     for k in range(1, 101))))


class People:
    """As many names of each kind as it takes that none but the last is tried too often."""

    def __init__(self, guesser, count):
        self.names = {"wrong": [f"known{n:02}" for n in range(count)],
                      "unknown": [f"knowm{n:02}" for n in range(count)],
                      "throttled": [f"known{n:02}" for n in range(50, 50 + count)]}
        for name in (*self.names["wrong"], *self.names["throttled"]):
            guesser.make(1, name)
        for source in range(2, 2 + AT_ACCOUNT // OF_ONE + 2):
            for name in self.names["throttled"]:
                guesser.try_at(source * 100 + int(name[-2:]), *[name] * OF_ONE)

    def next(self, turn):
        return [(kind, names[turn % len(names)]) for kind, names in self.names.items()]


def gather(guesser, sessions):
    """Tries of all kinds in a random order. A bucket fills again: what was meant to be refused and
    was not does not count."""
    people = People(guesser, sessions * SESSION // (AT_ACCOUNT - OF_ONE) + 1)
    times = {kind: [] for kind in people.names}
    turn = itertools.count()
    for session in range(sessions):
        todo = [pair for _ in range(SESSION) for pair in people.next(next(turn))]
        random.shuffle(todo)
        said = guesser.try_at(5000 + session, "warm-up", *(name for _, name in todo))[1:]
        for (kind, _), done in zip(todo, said, strict=True):
            if done["code"] == ("RateLimited" if kind == "throttled" else "BadPassword"):
                times[kind].append(done)
            assert kind == "throttled" or done["code"] == "BadPassword", done
    return times


def tries(lab):
    tracker = lab.tracker(config=CONFIG)
    with contextlib.closing(Guesser(tracker)) as guesser:
        times = gather(guesser, few(111, 6))    # 999 of them
    for part in ("oprf", "login"):
        for kind, done in times.items():
            took = [one[part] / 1000 for one in done]
            report(f"tries-{part}-{kind}", sum(took) / len(took), "ms", len(took), **summary(took))
        for one, other in itertools.combinations(times, 2):
            p = kolmogorov_smirnov(*([done[part] for done in times[kind]] for kind in (one, other)))
            report(f"tries-{part}-{one}-{other}", p, "p", len(times[one]) + len(times[other]),
                   at_least=0.01)
