"""What `wait` tells is how it was at one moment, whatever becomes of the jobs right behind it."""

from types import SimpleNamespace

import pytest

from jobd.contract.models import Selector, Wait
from jobd.contract.states import State
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.queries.wait import WaitQuery
from tests.store.meddled import Meddled

STATEMENTS = range(20)
"""Before which something may happen: more than an answer has."""


@pytest.fixture
def store(tmp_path):
    made = Meddled(tmp_path / "db")
    yield made
    made.close()


def waited(store, request):
    query = WaitQuery(
        workspaces=SimpleNamespace(end_of=lambda *_: b"", release=lambda: None),
        ledger=SimpleNamespace(busy=0), reader=store.reader, selection=Selection(store.reader),
        notifier=Notifier(), shown=SimpleNamespace(of=lambda rows: rows), keeping=True,
    )  # fmt: skip
    return query.wait(request, None)


@pytest.mark.parametrize("at", STATEMENTS)
@pytest.mark.parametrize("count", [1, 2])
def test_one_that_is_restarted_is_told_as_it_ended_or_not_at_all(store, count, at):
    for job in range(1, count + 1):
        store.submit()
        store.commit("failed", job)
    store.meddle(at, lambda: store.commit("pending"))
    told = waited(store, Wait(selector=Selector(ids=[(1, count)]), wait=0))
    assert told.done is (told.counts[State.FAILED] == count)
    if told.done:
        assert [(row.state, row.reason) for row in told.jobs] == [("failed", "exit code 3")] * count
    else:
        assert told.counts[State.PENDING] == 1
        assert not told.jobs


@pytest.mark.parametrize("at", STATEMENTS)
def test_one_that_is_put_back_has_not_ended(store, at):
    store.submit()
    store.meddle(at, lambda: store.commit("pending"))
    told = waited(store, Wait(selector=Selector(ids=[(1, 1)]), wait=0))
    assert (told.done, told.total) == (False, 1)
