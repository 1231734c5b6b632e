# SPDX-License-Identifier: GPL-3.0-or-later
"""The power goes in the middle of a conversation; whoever was told something was told the truth."""
import os
import random

import pytest

import disk
import harness
import talk
from reader import Readers

ROUNDS = 50 if os.environ.get("P2PCHAT_LONG") else 10
PER_ROUND = 60                                  # messages of each side


class House:
    """Alice, bob and the tracker, each with a disk of its own. Their clients need no power."""

    def __init__(self, lab):
        self.disks = {}
        tracker = lab.tracker(start=False)
        self.give_disk(lab, tracker, tracker.state)
        tracker.start()
        self.lab, self.tracker = lab, tracker
        self.alice, self.bob = (self.move_in(name) for name in ("alice", "bob"))
        self.thief = lab.user("thief").start()

    def move_in(self, name):
        user = self.lab.user(name)
        self.give_disk(self.lab, user, user.home / "state")
        return user.join()

    def give_disk(self, lab, process, place):
        self.disks[process] = disk.Disk(lab.directory / f"{process.name}.image", place)

    def cut(self, victims):
        for process in victims:
            self.disks[process].cut()

    def again(self, victims):
        for process in victims:
            process.kill()
        for process in victims:
            self.disks[process].again()
        for process in victims:
            process.start()

    def close(self):
        for process, one in self.disks.items():
            process.kill()
            one.close()


@pytest.fixture(name="house")
def house_fixture(lab):
    disk.need_mounts()
    house = None
    try:
        house = House(lab)
        yield house
        for process in house.disks:             # an end as usual, before their disks go
            process.stop()
    finally:
        if house:
            house.close()


def play_round(house, talks, readers, victims, generator, number):
    marks = [t.mark() for t in talks]
    guest = None
    if house.tracker in victims:
        guest = house.lab.user(f"guest{number}").start()
        guest.register()                        # answered: the name is on the tracker's disk
        guest.kill()
    for t in talks:
        t.go(PER_ROUND)
    talk.wait_progress(talks, marks, generator.randrange(PER_ROUND))
    readers.read()
    talk.spin(generator)
    house.cut(victims)
    if generator.random() < 0.5:                # they notice that their disk is gone
        for t in talks:
            t.settle()
    house.again(victims)
    readers.read()
    if guest:
        with pytest.raises(harness.BusError) as refused:
            house.thief.register(guest.name)
        assert refused.value.name == "NameTaken"
    for t, mark in zip(talks, marks):
        t.settle()
        t.check_kept(mark)
        t.recover(generator)
        t.settle()


def test_power_cuts_in_the_middle_of_a_conversation(house):
    generator = talk.generator()
    alice, bob, tracker = house.alice, house.bob, house.tracker
    talks = talk.acquaint(alice, bob)
    readers = Readers(talks, generator)
    choices = [[bob], [alice], [alice, bob], [tracker], [alice, bob, tracker]]
    for number in range(ROUNDS):
        play_round(house, talks, readers, choices[number % len(choices)], generator, number)
    for t in talks:
        t.wait_delivered()
    talk.check_all(alice, bob, talks)
    readers.check()
