"""What takes its time to say is said in order, by somebody else, and not without end."""

import threading

import pytest

from jobd.daemon.rpc import said_later
from jobd.daemon.rpc.said_later import SaidLater
from tests.helpers import wait_until


class Slow:
    """A log whose lines come out when the test lets them."""

    def __init__(self):
        self.open = threading.Event()
        self.said = []

    def warning(self, text, *values):
        assert self.open.wait(20)
        self.said.append(text % values)


@pytest.fixture
def log():
    made = Slow()
    yield made
    made.open.set()


def test_nobody_waits_for_it_and_the_order_stays(log):
    later = SaidLater(log)
    for number in range(5):
        later.warning("line %d", number)
    assert log.said == []
    log.open.set()
    later.close()
    assert log.said == [f"line {number}" for number in range(5)]
    later.warning("more")
    wait_until(lambda: log.said[-1] == "more")


def test_of_too_many_the_first_are_kept(log, monkeypatch):
    monkeypatch.setattr(said_later, "_MOST", 3)
    later = SaidLater(log)
    for number in range(100):
        later.warning("%d", number)
    log.open.set()
    later.close()
    # One more, which was being said already.
    assert log.said[:3] == ["0", "1", "2"]
    assert len(log.said) <= 4


def test_what_does_not_come_out_keeps_no_daemon_from_ending(log, monkeypatch):
    monkeypatch.setattr(said_later, "_LEAVES_S", 0.05)
    later = SaidLater(log)
    later.warning("stuck")
    later.close()
    assert log.said == []


def test_without_a_thread_it_is_said_with_the_next(log, monkeypatch):
    log.open.set()
    later = SaidLater(log)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refuse)
        later.warning("first")
    assert log.said == []
    later.warning("second")
    later.close()
    assert log.said == ["first", "second"]
