"""What the log leaves out of a flood, it counts: soon after, and in any case before the end."""

import pytest

from jobd.contract.call import Caller, Role
from jobd.contract.errors import NotPermitted
from jobd.system import rate_limit
from tests.helpers import wait_until

VIEWER = Caller("anna", Role.VIEWER)
LAST = "more such warnings were left out, the last: a request of anna was refused: no"


def flood(inside):
    for _ in range(50):
        inside.daemon.built.server.dispatch.note_refusal(VIEWER, NotPermitted("no"))


def told(caplog):
    return [said for said in caplog.messages if "left out" in said]


def test_it_is_told_once_its_minute_is_over(quiet, caplog, monkeypatch):
    monkeypatch.setattr(rate_limit, "_PERIOD_S", 0.05)
    flood(quiet)
    wait_until(lambda: told(caplog))
    quiet.close()
    counts = [int(said.removesuffix(LAST)) for said in told(caplog)]
    refused = [said for said in caplog.messages if said.startswith("a request of anna")]
    assert sum(counts) + len(refused) == 50


@pytest.mark.parametrize("by", ["requests", "clients"])
def test_it_is_told_before_the_daemon_ends(quiet, caplog, by):
    if by == "requests":
        flood(quiet)
    else:
        for _ in range(50):
            quiet.daemon.built.server.clients.note_unaccepted(OSError("too many open files"))
    assert told(caplog) == []
    quiet.close()
    assert len(told(caplog)) == 1


def test_one_timer_is_set_by_the_first_that_is_left_out(quiet):
    def due():
        actions = [deadline.action for deadline in quiet.daemon.built.ground.timer._due]
        return [a for a in actions if getattr(a, "__name__", "") == "tell_left_out"]

    quiet.daemon.built.server.dispatch.note_refusal(VIEWER, NotPermitted("no"))
    assert due() == []
    flood(quiet)
    assert len(due()) == 1
