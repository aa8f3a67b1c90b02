"""Who waits for jobs that were told to end does not wait for those that cannot be ended."""

import pytest

from jobctl.actions.ending import until_ended
from jobd.contract.models import List, Page, Selector, Wait, Waited
from jobd.contract.states import State, cannot_be_ended
from tests.jobctl.fakes import FakeClient, job

CHOSEN = Selector(ids=[(1, 2)])
WHY = cannot_be_ended("pid 12 (sleep) belongs to root")


def waited(finished):
    counts = {State.STOPPED: finished, State.RUNNING: 2 - finished}
    return Waited(done=finished == 2, total=2, counts=counts)


def page(*jobs):
    return Page(jobs=list(jobs))


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr("jobctl.actions.ending._KILLED_WITHIN_S", 0.0)


def test_those_that_have_ended_are_all_there_is():
    client = FakeClient(wait=waited(2))
    assert until_ended(client, CHOSEN, 5.0) == (waited(2), [])
    assert client.of(List) == []


def test_what_cannot_be_ended_is_told_when_nothing_else_is_left():
    stuck, slow = job(1, "running", reason=WHY), job(2, "running")
    client = FakeClient(wait=[waited(0), waited(1)], list=[page(stuck, slow), page(stuck)])
    _, [note] = until_ended(client, CHOSEN, 0.0)
    assert (note.id, note.text) == (1, f"still runs and {WHY}; end that with: sudo kill 12")
    assert [request.wait for request in client.of(Wait)] == [0.0, 0.0]


def test_a_daemon_that_does_not_say_how_long_it_takes_is_waited_for(monkeypatch):
    client = FakeClient(wait=[waited(0), waited(1), waited(2)])
    assert until_ended(client, CHOSEN, None) == (waited(2), [])
    assert client.of(List) == []
