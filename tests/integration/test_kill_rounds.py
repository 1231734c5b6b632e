# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random moments, in the middle of a conversation in both directions."""
import os

import talk
from reader import Readers

ROUNDS = 200 if os.environ.get("P2PCHAT_LONG") else 20
PER_ROUND = 60                                  # messages of each side


def victims_of(rounds, alice, bob, tracker, generator):
    """Each program alone as often as the others, sometimes several at once."""
    choices = [[alice], [bob], [tracker], [alice, bob], [alice], [bob], [bob, tracker],
               [alice], [bob], [alice, bob, tracker]]
    victims = [choices[number % len(choices)] for number in range(rounds)]
    generator.shuffle(victims)
    return victims


def play_round(talks, readers, victims, generator):
    """Talking, killed, back again, and on."""
    marks = [t.mark() for t in talks]
    for t in talks:
        t.go(PER_ROUND)
    talk.wait_progress(talks, marks, generator.randrange(PER_ROUND))
    readers.read()
    talk.spin(generator)
    for process in victims:
        process.kill()
    dead = [t for t in talks if t.user in victims]
    for t in dead:
        t.settle()
    generator.shuffle(victims)
    for process in victims:
        process.start()
    readers.read()
    for t, mark in zip(talks, marks):
        t.settle()
        t.check_kept(mark)
        t.recover(generator)
        t.settle()
        if t.answered():
            t.check_repeat(generator.choice(t.answered()))
            t.check_repeat(t.answered()[-1])


def test_killed_at_random_moments(tracker, alice, bob):
    generator = talk.generator()
    talks = talk.acquaint(alice, bob)
    readers = Readers(talks, generator)
    for victims in victims_of(ROUNDS, alice, bob, tracker, generator):
        play_round(talks, readers, list(victims), generator)
    for t in talks:
        t.wait_delivered()
    talk.check_all(alice, bob, talks)
    readers.check()
    assert sum(len(t.answered()) for t in talks) >= ROUNDS
    for t in talks:
        for message in generator.sample(t.answered(), 10):
            t.check_repeat(message)
    assert len(alice.history("bob")) == len(bob.history("alice"))
