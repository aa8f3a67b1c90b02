"""What is told to whoever stays with a job, whatever that is shown with."""

from contextlib import contextmanager

import pytest

from jobctl.actions.wait import wait_for
from jobd.contract.errors import NotFound
from jobd.contract.models import Acted, EventPage, Page, Piece, Shown, Submitted, Waited
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, job

ONE = Submitted(first=12, last=12, starts_now=True, busy=1, workers=3)
THREE = Submitted(first=12, last=14, starts_now=True, busy=3, workers=3)
FAILED = job(12, "failed", exit_code=3, reason="exit code 3", attempt=1)


class Recording:
    """An audience that keeps what it is told; `most`: bytes after which it wants no more."""

    def __init__(self, most=100):
        self.told = []
        self._most = most

    def __getattr__(self, name):
        return lambda *given: self.told.append((name, *given))

    def output(self, data):
        self.told.append(("output", data))
        self._most -= len(data)
        return self._most > 0

    @contextmanager
    def ending(self, jobs):
        self.told.append(("ending", jobs))
        yield


def piece(data, offset=0, *, ended=False):
    state = State.FAILED if ended else State.RUNNING
    return Piece(id=12, attempt=1, data=data, offset=offset, ended=ended, state=state, path="/o")


def waited(*jobs, total=1):
    counts = {State.FAILED: len(jobs), State.COMPLETED: total - len(jobs)}
    return Waited(done=True, total=total, counts=counts, jobs=list(jobs))


def client(**replies):
    told = {
        "events": EventPage(events=[], next=1, unfinished=0),
        "show": Shown(job=FAILED, attempts=[], events=[]),
        "output": [piece(b"a"), piece(b"b", 1, ended=True)],
        "wait": waited(FAILED),
    }
    return FakeClient(**{**told, **replies})


@pytest.mark.parametrize(("most", "output"), [(100, [b"a", b"b"]), (1, [b"a"])])
def test_output_and_end_are_told_and_nothing_is_printed(most, output, capfdbinary):
    audience = Recording(most)
    assert wait_for(client(), ONE, audience) == 3
    assert audience.told == [
        ("waiting", ONE),
        *[("output", data) for data in output],
        ("output_over",),
        ("ended", waited(FAILED), ONE),
    ]
    assert capfdbinary.readouterr() == (b"", b"")


def test_one_that_is_removed_meanwhile():
    gone = Waited(done=True, total=0, missing=[12])
    audience = Recording()
    assert wait_for(client(show=NotFound("gone"), wait=gone), ONE, audience) == 1
    assert audience.told[-2:] == [("output_over",), ("ended", gone, ONE)]


def test_several_have_no_output_here():
    audience = Recording()
    assert wait_for(client(wait=waited(total=3)), THREE, audience) == 0
    assert [name for name, *_ in audience.told] == ["waiting", "ended"]


def test_interrupted_it_leaves_them_or_stops_them():
    audience = Recording()
    assert wait_for(client(wait=KeyboardInterrupt()), THREE, audience) == 130
    assert audience.told[-1] == ("left", THREE)
    audience = Recording()
    stopped = waited(total=3)
    replies = [KeyboardInterrupt(), stopped, stopped]
    acted = Acted(done=[12, 13, 14])
    asked = client(wait=replies, stop=acted, list=Page(jobs=[]))
    assert wait_for(asked, THREE, audience, stop=True) == 0
    assert [name for name, *_ in audience.told] == ["waiting", "stopping", "ending", "ended"]
