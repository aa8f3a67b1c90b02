"""Stopping from outside: what is said of a daemon whose answer never came."""

import pytest

from jobd.admin import control
from jobd.client.client import Client
from jobd.contract.errors import Busy, NotRunning
from jobd.contract.models import ShutdownReply
from jobd.contract.paths import locate

LOST = NotRunning("gone")


@pytest.mark.parametrize(
    ("reached", "answers", "said"),
    [
        ([None], [], None),
        ([True], [ShutdownReply(waiting_for=[3])], [3]),
        # It had nothing to wait for, and was gone before its answer was.
        ([True, None], [LOST], []),
        # It was killed with the request in hand; the next one has heard nothing of it.
        ([True, True], [LOST, ShutdownReply(waiting_for=[])], []),
    ],
)
def test_a_stop_is_asked_for_until_it_is_heard(reached, answers, said, home, monkeypatch):
    left, given = list(reached), list(answers)

    def shutdown(_client, *, now, timeout):
        assert now
        assert timeout is None
        answer = given.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(control, "_reach", lambda *_: left.pop(0))
    monkeypatch.setattr(Client, "shutdown", shutdown)
    paths = locate({"JOBD_HOME": str(home)})
    assert control.stop(paths, now=True, timeout=None) == said
    assert (left, given) == ([], [])


@pytest.mark.parametrize(
    "ask",
    [
        lambda paths: control.stop(paths, now=True, timeout=None),
        control.restart,
        lambda paths: control.start(paths, control.StartOptions()),
    ],
)
def test_a_daemon_that_has_no_place_left_does_not_hang(ask, home, monkeypatch):
    def full(_paths, **_):
        raise Busy("no place")

    replaced = []
    monkeypatch.setattr(control, "status", full)
    monkeypatch.setattr(control, "is_supervised", lambda _socket: True)
    monkeypatch.setattr(control, "_replace_hanging", lambda *given: replaced.append(given))
    with pytest.raises(Busy):
        ask(locate({"JOBD_HOME": str(home)}))
    assert replaced == []
