"""What a page of the history says of the end."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from jobd.contract.models import Event, Events, Selector
from jobd.contract.states import State
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.queries.crowd import Crowd
from jobd.daemon.queries.events import EventsQuery
from jobd.daemon.queries.traffic import Traffic
from jobd.system.timer import Timer
from tests.jobctl.fakes import NOON
from tests.store.meddled import Meddled

LIMIT = 3


class Reader:
    """All jobs have finished; `late` events come behind the first look."""

    def __init__(self, late):
        self._late = late
        self._looked = False

    def events(self, after, ranges, limit):
        last = 1 + self._late if self._looked else 1
        self._looked = True
        return [SimpleNamespace(seq=seq) for seq in range(after + 1, last + 1)][:limit]

    def one_of(self, states, ranges):
        return None

    @contextmanager
    def moment(self):
        yield self

    def first_event(self):
        return 1


def query(reader):
    notifier, crowd = Notifier(), Crowd(Timer())
    notifier.subscribe(crowd)
    notifier.published(1)
    return EventsQuery(
        reader=reader, notifier=notifier, followers=None, owner="me",
        ledger=SimpleNamespace(counts={State.PENDING: 0, State.RUNNING: 0}),
        written=SimpleNamespace(beyond=lambda _: []), crowd=crowd, traffic=Traffic(),
        views=SimpleNamespace(
            event=lambda row: Event(
                seq=row.seq, at=NOON, job=1, event=getattr(row, "event", ""), user="", data={}
            )
        ),
    )  # fmt: skip


@pytest.mark.parametrize("selector", [Selector(), Selector(ids=[(1, 1)])])
@pytest.mark.parametrize("late", range(7))
def test_whoever_goes_by_the_pages_has_heard_all_when_they_say_so(late, selector):
    asked, after, heard, unfinished = query(Reader(late)), 0, [], 1
    while unfinished:
        request = Events(selector=selector, after=after, limit=LIMIT)
        page = asked.events(request, None)
        heard += [event.seq for event in page.events]
        after, unfinished = page.next, page.unfinished
    assert heard == list(range(1, 2 + late))


STATEMENTS = range(8)
"""Before which something may happen: more than a page has."""


@pytest.fixture
def store(tmp_path):
    made = Meddled(tmp_path / "db")
    made.submit()
    yield made
    made.close()


@pytest.mark.parametrize("at", STATEMENTS)
@pytest.mark.parametrize("after", [0, None])
@pytest.mark.parametrize("selector", [Selector(), Selector(ids=[(1, 1)])])
def test_one_that_is_put_back_has_not_ended(store, selector, after, at):
    store.commit("running", event="started")
    store.meddle(at, lambda: store.commit("pending", event="retrying"))
    assert query(store.reader).events(Events(selector=selector, after=after), None).unfinished


@pytest.mark.parametrize("at", STATEMENTS)
def test_the_last_that_is_told_is_an_end_and_not_the_restart_behind_it(store, at):
    store.commit("completed", event="completed")
    store.meddle(at, lambda: store.commit("pending", event="restarted"))
    page = query(store.reader).events(Events(selector=Selector(ids=[(1, 1)]), after=0), None)
    if not page.unfinished:
        assert [event.event for event in page.events] == ["completed"]
