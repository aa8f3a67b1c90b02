"""Who is still to hear something before a daemon leaves, and for how long it stays for that."""

import threading
import time
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from jobd.contract.models import (
    EventPage,
    Events,
    Output,
    Piece,
    Selector,
    Status,
    Wait,
    Waited,
    WorkersReply,
)
from jobd.contract.states import State
from jobd.daemon.rpc import attendance as module
from jobd.daemon.rpc.attendance import Attendance

ONE = Selector(ids=[(1, 1)])
WAITS = Wait(selector=ONE, wait=20.0)
LONG_S = 60.0
"""Seconds that no test lasts."""


def piece(*, ended):
    return Piece(
        id=1, attempt=1, data=b"x", offset=0, ended=ended, state=State.RUNNING, path="/out"
    )


NOT_YET = [
    (WAITS, Waited(done=False, total=1)),
    (Output(id=1, wait=20.0), piece(ended=False)),
    (Output(id=1, follows=True), piece(ended=False)),
    (Events(after=1, wait=20.0), EventPage(events=[], next=1, unfinished=1)),
    (Events(after=1, follows=True), EventPage(events=[], next=1, unfinished=1)),
]
THE_END = [
    (WAITS, Waited(done=True, total=1)),
    (Output(id=1, wait=20.0), piece(ended=True)),
    (Events(after=1, wait=20.0), EventPage(events=[], next=1)),
]


@pytest.fixture
def attendance():
    return Attendance()


def answer(attendee, request, view):
    attendee.asks(request)
    if view is not None:
        attendee.hears(view)
    attendee.answered()


class Leaving:
    """A daemon that leaves, in a thread of its own."""

    def __init__(self, attendance, seconds=LONG_S):
        self._thread = threading.Thread(target=attendance.await_end, args=[seconds])
        self._thread.start()

    @property
    def stays(self):
        self._thread.join(0.05)
        return self._thread.is_alive()

    def leaves(self):
        self._thread.join(10)
        return not self._thread.is_alive()


@contextmanager
def at_once():
    """Whoever is not kept has no reason to wait at all; a busy machine may take a moment."""
    before = time.monotonic()
    yield
    assert time.monotonic() - before < 1


def test_nobody_keeps_it_where_nobody_waits(attendance):
    with attendance.attendee(), at_once():
        attendance.await_end(LONG_S)


@pytest.mark.parametrize(("request_", "view"), NOT_YET)
def test_whoever_was_told_not_yet_is_waited_for_between_two_requests(attendance, request_, view):
    with attendance.attendee() as client:
        answer(client, request_, view)
        leaving = Leaving(attendance)
        assert leaving.stays
        # What it asks for besides changes nothing about that.
        answer(client, Status(), WorkersReply(workers=1, busy=0))
        assert leaving.stays
    assert leaving.leaves()


@pytest.mark.parametrize(("request_", "view"), THE_END)
def test_whoever_has_heard_the_end_may_ask_on_for_a_moment(attendance, request_, view, monkeypatch):
    monkeypatch.setattr(type(request_), "about", replace(request_.about, asks_on=0.5))
    with attendance.attendee() as client:
        client.asks(request_)
        leaving = Leaving(attendance)
        assert leaving.stays
        client.hears(view)
        assert leaving.stays, "it is not told before it is sent"
        client.answered()
        assert leaving.leaves()
    assert attendance.left() == 0


def test_who_has_read_an_output_to_its_end_has_longer_to_ask_how_the_job_ended(attendance):
    """On a machine that is busy a second is soon over, and the exit code would be lost to it."""
    with attendance.attendee() as client:
        now = time.monotonic()
        answer(client, Output(id=1, wait=20.0), piece(ended=True))
        assert 4.0 < client.until - now < 60.0
        answer(client, WAITS, Waited(done=True, total=1))
        assert client.until - time.monotonic() <= 1.0, "it has heard it"


def test_an_error_is_an_end_too(attendance):
    with attendance.attendee() as client:
        answer(client, WAITS, None)
        assert Leaving(attendance).leaves()


def test_whoever_only_asks_again_and_again_keeps_nobody(attendance, monkeypatch):
    monkeypatch.setattr(module, "_LOOKS_ON_S", 0.1)
    with attendance.attendee() as client:
        leaving, until = Leaving(attendance), time.monotonic() + 10
        while leaving.stays and time.monotonic() < until:
            answer(client, Status(), WorkersReply(workers=1, busy=0))
        assert leaving.leaves()


def test_whoever_was_told_that_it_leaves_is_not_waited_for_whatever_it_asks(attendance):
    with attendance.attendee() as client:
        client.asks(WAITS)
        client.dismiss()
        client.answered()
        client.asks(WAITS)
        with at_once():
            attendance.await_end(LONG_S)


def test_whoever_takes_nothing_keeps_it_for_the_given_time_alone(attendance):
    with attendance.attendee() as client:
        client.asks(WAITS)
        before = time.monotonic()
        attendance.await_end(0.2)
        assert 0.2 <= time.monotonic() - before < 10
        assert attendance.left() == 1


def test_clients_of_the_daemon_before_have_time_to_come_back(attendance, monkeypatch):
    monkeypatch.setattr(module, "_COMES_BACK_S", 0.2)
    before = time.monotonic()
    attendance.expect()
    attendance.await_end(LONG_S)
    assert 0.2 <= time.monotonic() - before < 10
