"""Threads that take one piece of work after the other."""

import queue
import threading
from types import SimpleNamespace

import pytest

from jobd.daemon.execution import crew as module
from jobd.daemon.execution.crew import Crew
from tests.helpers import wait_until


@pytest.fixture
def stage():
    """A crew whose work lasts until it is let go, and how it was done."""
    begun, threads = queue.SimpleQueue(), []

    def work(gate):
        threads.append(threading.current_thread())
        begun.put(gate)
        if isinstance(gate, Exception):
            raise gate
        gate.wait()

    made = Crew("tested", 8, work)
    yield SimpleNamespace(crew=made, begun=begun, threads=threads)
    made.close()


@pytest.fixture
def no_threads(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    def forbid():
        monkeypatch.setattr(module.threading.Thread, "start", refuse)

    return SimpleNamespace(forbid=forbid, permit=monkeypatch.undo)


def free(crew, count=1):
    wait_until(lambda: crew._spare == count)


def test_work_is_done_at_once_and_a_free_thread_does_the_next(stage):
    first, second = threading.Event(), threading.Event()
    stage.crew.give(first)
    stage.crew.give(second)
    assert {stage.begun.get(timeout=10), stage.begun.get(timeout=10)} == {first, second}
    first.set()
    free(stage.crew)
    third = threading.Event()
    stage.crew.give(third)
    assert stage.begun.get(timeout=10) is third
    assert len(set(stage.threads)) == 2
    second.set()
    third.set()


def test_a_thread_survives_work_that_breaks_down(stage, caplog):
    stage.crew.give(ValueError("broken"))
    free(stage.crew)
    gate = threading.Event()
    stage.crew.give(gate)
    gate.set()
    free(stage.crew)
    assert len(set(stage.threads)) == 1
    assert "a piece of work broke down" in caplog.text


def test_what_no_thread_is_given_for_is_not_taken(stage, no_threads):
    no_threads.forbid()
    with pytest.raises(RuntimeError):
        stage.crew.give(threading.Event())
    no_threads.permit()
    gate = threading.Event()
    stage.crew.give(gate)
    assert stage.begun.get(timeout=10) is gate
    gate.set()


def test_what_is_owed_is_done_by_the_first_that_is_free_and_takes_nobodys_turn(stage, no_threads):
    first, owed = threading.Event(), threading.Event()
    stage.crew.give(first)
    assert stage.begun.get(timeout=10) is first
    stage.crew.owe(owed)
    first.set()
    assert stage.begun.get(timeout=10) is owed
    # That thread is not free: whoever comes now gets another one.
    third = threading.Event()
    stage.crew.give(third)
    assert stage.begun.get(timeout=10) is third
    assert len(set(stage.threads)) == 2
    owed.set()
    third.set()


def test_a_crew_is_reinforced_for_what_is_owed_and_for_nothing_else(stage, no_threads):
    owed = threading.Event()
    stage.crew.owe(owed)
    no_threads.forbid()
    with pytest.raises(RuntimeError):
        stage.crew.reinforce()
    no_threads.permit()
    stage.crew.reinforce()
    assert stage.begun.get(timeout=10) is owed
    owed.set()
    free(stage.crew)
    stage.crew.reinforce()
    free(stage.crew)


def test_a_closed_crew_begins_nothing_and_its_threads_end(stage):
    gate, owed = threading.Event(), threading.Event()
    stage.crew.give(gate)
    stage.begun.get(timeout=10)
    stage.crew.owe(owed)
    stage.crew.close()
    with pytest.raises(RuntimeError):
        stage.crew.give(threading.Event())
    gate.set()
    for thread in stage.threads:
        thread.join(10)
        assert not thread.is_alive()
    assert stage.begun.empty()
