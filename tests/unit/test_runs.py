"""A running attempt in memory: what a transaction said of it, and that it can be taken back."""

import pytest

from jobd.core.pace import begun
from jobd.core.ready import Entry
from jobd.core.undo import Undo
from jobd.runs import Run, Runs
from jobd.store.records import Policy, Spec
from jobd.store.store import Started


@pytest.fixture
def run():
    spec = Spec(argv=[b"true"], shell=False, cwd=b"/", umask=0o022)
    made = Run(Started(Entry(1), 1, "", spec, 1, 0, Policy(), 0, None), slot=1)
    made.pace = begun(10.0, 100.0, 90.0)
    return made


@pytest.fixture
def undo():
    return Undo()


@pytest.fixture
def runs(undo):
    return Runs(undo, None, None)


def test_a_pause_that_is_not_saved_is_none(run, runs, undo):
    runs.halt(run, 100.0, paused=True)
    assert run.halted
    undo.play()
    assert not run.halted


def test_a_resumption_that_is_not_saved_is_none(run, runs, undo):
    runs.halt(run, 100.0, paused=True)
    undo.clear()
    pace = run.pace
    runs.halt(run, 160.0, paused=False)
    assert not run.halted
    assert run.pace != pace
    undo.play()
    assert run.halted
    assert run.pace == pace
    # And once more, now for good: the same time is left as if nothing had been.
    runs.halt(run, 160.0, paused=False)
    assert run.pace != pace
