"""A daemon that always answers the same: no command goes on for ever."""

import pytest

from jobctl.actions import watch as watching
from jobd.client.stalls import check_acted
from jobd.contract.models import (
    Acted,
    EventPage,
    Page,
    Piece,
    Shown,
    Submitted,
    Waited,
    WorkersReply,
)
from jobd.contract.states import State
from tests.client.test_stalls import event, job, piece
from tests.jobctl.fakes import jobctl
from tests.jobctl.hostile import HostileDaemon
from tests.jobctl.test_hostile_daemon import BYTE_FOR_BYTE, COMMAND_LINES

MORE = [
    "logs 1-9",
    "logs -f 1-9",
    "logs -f --tag t",
    "logs --merge-attempts 1-9",
    "events -f",
    "rm --force 1",
    "wait --any 1",
    "ls -n 0",
]
STUCK = {
    "at the same page": {
        Page: Page(jobs=[job(1)], next="x", seq=9, moves=1),
        EventPage: EventPage(events=[event(3)], next=3, unfinished=1),
        Waited: Waited(done=False, total=1, counts={State.RUNNING: 1}, ids=[(1, 1)]),
        Piece: piece(b"again\n", next=0),
        Acted: Acted(done=[1], more=True),
    },
    "with nothing": {
        Page: Page(jobs=[], next="x"),
        EventPage: EventPage(events=[], next=3, unfinished=1),
        Waited: Waited(done=False, total=1, ids=[(1, 1)]),
        Piece: piece(),
        Acted: Acted(done=[], more=True),
    },
}


class StuckDaemon(HostileDaemon):
    """Others of its answers are of the hostile kind."""

    def __init__(self, answers):
        super().__init__(seed=1, patience=3000)
        self._answers = {
            Shown: Shown(job=job(1), attempts=[], events=[]), Submitted: Submitted(first=1, last=1),
            WorkersReply: WorkersReply(workers=1, busy=0), **answers,
        }  # fmt: skip

    def _raw(self, request, kind):
        self._patience -= 1
        assert self._patience > 0, "this would go on for ever"
        return self._answers[kind] if kind in self._answers else super().request(request, kind)

    def request(self, request, kind):
        """As `Connection` does."""
        answer, before = self._raw(request, kind), None
        while isinstance(answer, Acted):
            check_acted(before, answer)
            before, answer = answer, self._raw(request, kind)
        return answer


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "_BREATH", 0.0)


@pytest.mark.parametrize("answers", STUCK.values(), ids=STUCK)
@pytest.mark.parametrize(
    "words", [*COMMAND_LINES, *BYTE_FOR_BYTE, *map(str.split, MORE)], ids=" ".join
)
def test_every_command_comes_to_an_end(words, answers):
    result = jobctl(*words, client=StuckDaemon(answers))
    assert "would go on for ever" not in result.stderr, result.stderr[-300:]
    assert "defect" not in result.stderr
