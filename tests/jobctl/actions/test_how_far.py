"""How far it is while somebody waits: what is asked, and when."""

import threading

import pytest

from jobctl.actions import how_far
from jobctl.actions.how_far import Looking
from jobctl.render.how_far import Line
from jobd.contract.errors import NotRunning
from jobd.contract.models import Array, Event, EventPage, Events, List, Page, Selector, Wait, Waited
from jobd.contract.states import State
from tests.helpers import wait_until
from tests.jobctl.fakes import NOON, FakeClient, job

ARRAY = Array(first=3, last=102, first_index=1, last_index=100, eta_s=60.0)
CHANGED = Event(seq=5, at=NOON, job=3, event="completed", user="", data={})


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(how_far, "_MOMENT_S", 0.0)
    monkeypatch.setattr(how_far, "_BREATH_S", 0.0)


class Shown(list):
    show = list.append


class Daemon:
    """Answers a wait for news when the test says that there are some."""

    def __init__(self, *seen, jobs=()):
        self._news = threading.Semaphore(0)
        self._quiet = threading.Semaphore(0)
        self.client = FakeClient(wait=list(seen), events=self._events, list=Page(jobs=list(jobs)))

    def _events(self, request):
        if request.after is None:
            return EventPage(events=[], next=4)
        assert request.limit == 1
        assert self._news.acquire(timeout=30)
        return EventPage(events=[CHANGED], next=5, unfinished=1)

    def happens(self):
        self._news.release()

    def looks(self):
        return len(self.client.of(Wait))


def seen(completed, total=100, array=None):
    counts = {State.COMPLETED: completed, State.RUNNING: total - completed}
    return Waited(done=False, total=total, counts=counts, ids=[(3, 102)], array=array)


CHOSEN = Selector(ids=[(3, 102)])


def test_it_is_looked_after_each_change_and_only_then():
    daemon, shown = Daemon(seen(42, array=ARRAY), seen(43, array=ARRAY)), Shown()
    with Looking(lambda: daemon.client, CHOSEN, shown):
        wait_until(lambda: len(shown) == 1 and isinstance(daemon.client.sent[-1], Events))
        assert (daemon.looks(), daemon.client.sent[-1].wait > 10) == (1, True)
        daemon.happens()
        wait_until(lambda: len(shown) == 2)
    daemon.happens()
    assert [now.counts[State.COMPLETED] for now in shown] == [42, 43]
    assert [now.eta_s for now in shown] == [60.0, 60.0]
    assert all(request.wait == 0 for request in daemon.client.of(Wait))
    assert not daemon.client.of(List)


def test_of_one_job_it_is_told_what_it_does():
    one = job(7, "running", progress=40.0)
    daemon, shown = Daemon(seen(0, total=1), jobs=[one]), Shown()
    with Looking(lambda: daemon.client, Selector(ids=[(7, 7)]), shown):
        wait_until(lambda: shown)
    daemon.happens()
    assert shown[0].job == one


def test_of_loose_jobs_it_is_measured_how_fast_they_end():
    daemon, shown = Daemon(seen(40), seen(50), seen(100)), Shown()
    times = iter(range(0, 10_000, 10))
    with Looking(lambda: daemon.client, CHOSEN, shown, clock=lambda: next(times)):
        for number in range(1, 4):
            wait_until(lambda least=number: len(shown) >= least)
            daemon.happens()
    assert [now.eta_s is None for now in shown] == [True, False, True]


def test_whoever_waits_for_less_than_the_end_is_told_of_no_end():
    daemon, shown = Daemon(seen(42, array=ARRAY)), Shown()
    with Looking(lambda: daemon.client, CHOSEN, shown, to_end=False):
        wait_until(lambda: shown)
    daemon.happens()
    assert (shown[0].eta_s, shown[0].to_end) == (None, False)


@pytest.mark.parametrize("reply", [NotRunning("it has gone"), Waited(done=True, total=0)])
def test_where_nothing_is_known_nothing_is_said(reply):
    daemon, shown = Daemon(reply), Shown()
    with Looking(lambda: daemon.client, CHOSEN, shown):
        wait_until(lambda: shown)
    daemon.happens()
    assert shown == [None]


def test_who_waits_for_a_moment_only_costs_no_look(monkeypatch):
    monkeypatch.setattr(how_far, "_MOMENT_S", 30.0)
    with Looking(lambda: pytest.fail("it connects"), CHOSEN, Shown()):
        pass


@pytest.mark.parametrize(
    "context", [lambda: Looking(None, CHOSEN, Shown()), lambda: Line("Ctrl-C ends it")]
)
def test_where_no_thread_can_begin_the_wait_goes_on_all_the_same(context, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with context():
        pass
