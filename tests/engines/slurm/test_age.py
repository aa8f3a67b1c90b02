"""How old an attempt is where the clocks of Slurm and of the file server are wrong."""

import math
import time
from types import SimpleNamespace

import pytest

from jobd.engines.slurm import age
from jobd.engines.slurm.age import Age, monotonic_of
from jobd.engines.slurm.commands import Seen
from jobd.engines.slurm.notes import Note, Notes
from jobd.engines.slurm.process import SlurmProcess, Where

TOKEN = "ab" * 16


class Clocks:
    """This machine's: since its boot, and of the day."""

    def __init__(self):
        self.now = 1000.0
        self.day = 5_000_000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.day + self.now


@pytest.fixture
def clocks(monkeypatch):
    made = Clocks()
    monkeypatch.setattr(age, "time", made)
    return made


def process(clocks, allocation=None):
    return SlurmProcess(
        Where(TOKEN, "name", 7), output=lambda: None, commands=None, reap=lambda: None,
        age=Age(clocks.now), allocation=allocation,
    )  # fmt: skip


def seen(state, started=None):
    return Seen(7, "name", state, 0, started=started)


def test_it_is_as_old_as_others_say_where_their_clocks_are_right(clocks):
    one = Age(clocks.now)
    clocks.now += 30
    assert one.seconds == 0.0
    one.began(clocks.time() - 20)
    assert one.seconds == 20.0
    clocks.day += 3600
    one.began(clocks.time())
    clocks.now += 5
    assert one.seconds == 25.0


@pytest.mark.parametrize(("wrong_by", "seconds"), [(-3600, 10.0), (3600, 0.0)])
def test_it_is_never_older_than_what_is_known_here(clocks, wrong_by, seconds):
    """With a time limit of a minute it would be ended at once."""
    one = process(clocks)
    clocks.now += 500
    one.seen(seen("PENDING", clocks.time() + 1), clocks.now)
    clocks.now += 10
    one.seen(seen("RUNNING", clocks.time() - 5 + wrong_by), clocks.now)
    assert one.age() == seconds
    clocks.now += 7
    one.seen(seen("RUNNING", clocks.time()), clocks.now)
    assert one.age() == seconds + 7


def test_in_an_allocation_it_is_no_older_than_the_hand_over(clocks):
    one = process(clocks, SimpleNamespace(kind=None))
    clocks.now += 2
    one.seen(seen("RUNNING", clocks.time() - 50), clocks.now)
    assert one.age() == 0.0, "that is the allocation's own begin"
    one.began(clocks.time() - 3600)
    assert one.age() == 2.0


def test_the_next_daemon_knows_when_it_could_begin_at_the_earliest(clocks, tmp_path):
    tmp_path.chmod(0o700)
    notes, before = Notes(tmp_path), time.time()
    notes.write(TOKEN, Note(7, "jobd-pack-a-b", 2))
    (note,) = notes.all().values()
    assert note == Note(7, "jobd-pack-a-b", 2, note.written)
    assert before - 1 < note.written < time.time() + 1
    one = Age(monotonic_of(clocks.time() - 40))
    one.began(clocks.time() - 3600)
    assert one.seconds == 40.0


def test_of_what_has_no_note_only_others_know(clocks):
    one = Age()
    one.began(clocks.time() - 3600)
    assert one.seconds == 3600.0
    later = Age(clocks.now + 50)
    later.began(clocks.time())
    assert later.seconds == 0.0
    assert math.isfinite(monotonic_of(clocks.time()))
