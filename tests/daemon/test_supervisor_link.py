"""What the supervisor says of children that ended while no daemon lived."""

import json
import socket
from types import SimpleNamespace

import pytest

from jobd.daemon.supervisor_link import Link
from jobd.engines.local.processes import Adopted
from jobd.system.clock import boot_us, now_us

ENDED = {"pid": 7, "exit_code": 3, "signal": None, "cpu_s": 0.5, "max_rss_kb": 1000}


@pytest.fixture
def supervisor():
    """Its end of the socket, and a link that listens at the other."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = Link(theirs, lambda: None)
    link.start()
    yield SimpleNamespace(link=link, says=lambda message: ours.send(json.dumps(message).encode()))
    ours.close()
    theirs.close()


def outcome(link):
    return Adopted(ENDED["pid"], "f" * 32, None, None, link).wait()


def test_it_ended_when_the_supervisor_saw_it(supervisor):
    hour = 3_600_000_000
    supervisor.says({"ended": ENDED, "at": boot_us() - hour})
    found = outcome(supervisor.link)
    assert found.exit_code == 3
    assert abs(found.at - (now_us() - hour)) < 60_000_000


def test_a_supervisor_of_an_older_version_does_not_say_when(supervisor):
    supervisor.says({"ended": ENDED})
    assert (outcome(supervisor.link).exit_code, outcome(supervisor.link).at) == (3, None)


def test_that_the_supervisor_has_died_is_known_at_once():
    """No thread needs to have heard it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = Link(theirs, lambda: None)
    ours.send(b"{}")
    assert not link.is_cut()
    ours.close()
    assert link.is_cut()
    theirs.close()


def test_ends_that_could_not_be_saved_are_told():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    Link(theirs, lambda: None).unsaved({"f" * 32: 5})
    assert json.loads(ours.recv(1000)) == {"unsaved": {"f" * 32: 5}}
    for end in (ours, theirs):
        end.close()
