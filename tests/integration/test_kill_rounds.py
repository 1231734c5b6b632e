# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random moments, in the middle of a conversation in both directions."""
import os
import random

import harness
import talk
from talk import Talk

ROUNDS = 200 if os.environ.get("P2PCHAT_LONG") else 20
PER_ROUND = 60                                  # messages of each side


def victims_of(rounds, alice, bob, tracker, generator):
    """Each program alone as often as the others, sometimes several at once."""
    choices = [[alice], [bob], [tracker], [alice, bob], [alice], [bob], [bob, tracker],
               [alice], [bob], [alice, bob, tracker]]
    victims = [choices[number % len(choices)] for number in range(rounds)]
    generator.shuffle(victims)
    return victims


def play_round(talks, victims, generator):
    """Talking, killed, back again, and on."""
    since = {t: len(t.messages) for t in talks}
    arrived = [len(t.other.events) for t in talks]
    for t in talks:
        t.go(PER_ROUND)

    def progress():
        return sum(len(t.answered()) for t in talks) + \
            sum(len(t.other.events) - n for t, n in zip(talks, arrived)) - before

    before = sum(len(t.answered()) for t in talks)
    goal = generator.randrange(PER_ROUND)
    harness.wait_progress(lambda: progress() >= goal, progress, 120, "the talk goes on")
    talk.spin(generator)
    for process in victims:
        process.kill()
    dead = [t for t in talks if t.user in victims]
    for t in dead:
        t.settle()
    generator.shuffle(victims)
    for process in victims:
        process.start()
    for t in talks:
        t.settle()
        t.check_kept(since[t])
        t.recover(generator)
        t.settle()
        if t.answered():
            t.check_repeat(generator.choice(t.answered()))
            t.check_repeat(t.answered()[-1])


def test_killed_at_random_moments(tracker, alice, bob):
    seed = int(os.environ.get("P2PCHAT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"P2PCHAT_SEED={seed} repeats this choice of moments")
    generator = random.Random(seed)
    talks = talk.acquaint(alice, bob)
    for victims in victims_of(ROUNDS, alice, bob, tracker, generator):
        play_round(talks, list(victims), generator)
    for t in talks:
        t.wait_delivered()
    talk.check_all(alice, bob, talks)
    assert sum(len(t.answered()) for t in talks) >= ROUNDS
    for t in talks:
        for message in generator.sample(t.answered(), 10):
            t.check_repeat(message)
    assert len(alice.history("bob")) == len(bob.history("alice"))
