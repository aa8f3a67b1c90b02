"""How often it is looked at what an attempt has written."""

import threading

import pytest

from jobd.engines.slurm import glances
from jobd.engines.slurm.glances import Glances
from tests.helpers import wait_until


@pytest.mark.parametrize(
    ("age", "many", "seconds"),
    [
        (0.0, 1, 0.02),  # it may end at once
        (10.0, 1, 0.5),
        (3600.0, 1, 1.0),
        (0.0, 1000, 2.0),  # a file server is asked for so many a second at most
        (3600.0, 1000, 20.0),
    ],
)
def test_the_older_and_the_more_the_more_rarely(age, many, seconds):
    assert glances._pause(age, many) == pytest.approx(seconds)


class Attempt:
    number = 1

    def __init__(self, age=0.0):
        self.is_over = False
        self.looks = 0
        self._age = age

    def age(self):
        return self._age


@pytest.fixture
def looked_at():
    def look(attempt):
        attempt.looks += 1

    made = Glances(look)
    yield made
    made.close()


def test_each_is_looked_at_until_it_is_over_and_then_nobody_looks(looked_at):
    long, short = Attempt(), Attempt()
    looked_at.add(long)
    looked_at.add(short)
    wait_until(lambda: long.looks > 2 and short.looks > 2)
    short.is_over = True
    wait_until(lambda: len(looked_at._due) == 1)
    long.is_over = True
    wait_until(lambda: not looked_at._looking)
    assert "slurm ends" not in {thread.name for thread in threading.enumerate()}


def test_who_comes_later_is_not_kept_waiting_by_those_that_are_old(looked_at, monkeypatch):
    old, young = Attempt(age=3600.0), Attempt()
    monkeypatch.setattr(glances, "_QUIET", 1e9)
    monkeypatch.setattr(glances, "_LONGEST_S", 3600.0)
    looked_at.add(old)
    wait_until(lambda: old.looks == 1 and looked_at._due)
    looked_at.add(young)
    wait_until(lambda: young.looks == 1)
    assert old.looks == 1
