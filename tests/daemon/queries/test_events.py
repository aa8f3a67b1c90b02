"""What a page of the history says of the end."""

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

    def first_event(self):
        return 1


def query(late):
    notifier, crowd = Notifier(), Crowd(Timer())
    notifier.subscribe(crowd)
    notifier.published(1)
    return EventsQuery(
        reader=Reader(late), notifier=notifier, followers=None, owner="me",
        ledger=SimpleNamespace(counts={State.PENDING: 0, State.RUNNING: 0}),
        written=SimpleNamespace(beyond=lambda _: []), crowd=crowd, traffic=Traffic(),
        views=SimpleNamespace(
            event=lambda row: Event(seq=row.seq, at=NOON, job=1, event="", user="", data={})
        ),
    )  # fmt: skip


@pytest.mark.parametrize("selector", [Selector(), Selector(ids=[(1, 1)])])
@pytest.mark.parametrize("late", range(7))
def test_whoever_goes_by_the_pages_has_heard_all_when_they_say_so(late, selector):
    asked, after, heard, unfinished = query(late), 0, [], 1
    while unfinished:
        request = Events(selector=selector, after=after, limit=LIMIT)
        page = asked.events(request, None)
        heard += [event.seq for event in page.events]
        after, unfinished = page.next, page.unfinished
    assert heard == list(range(1, 2 + late))
