"""Where jobctl finds the daemon, and what it makes of a socket at which nobody listens."""

import contextlib
import os
import socket

import pytest

from jobd.client import address
from jobd.client.address import Address
from jobd.client.client import Client
from jobd.contract import paths, peers
from jobd.contract.errors import BadRequest, JobdError, NotPermitted, NotRunning
from jobd.contract.models import WorkersReply
from tests.client.test_connection import Server

REPLY = WorkersReply(workers=3, busy=1)


@pytest.fixture
def shared(home, monkeypatch):
    """What `JOBD_SOCKET` names."""
    path = home / "shared"
    monkeypatch.setenv("JOBD_SOCKET", str(path))
    return path


@pytest.fixture
def listening():
    """A function that makes a socket of which somebody called listen(2)."""
    with contextlib.ExitStack() as stack:

        def listen(path, backlog=5):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.bind(str(path))
            sock.listen(backlog)
            return sock

        yield listen


def leave(path):
    """A socket as a daemon that was killed leaves it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def test_a_socket_that_was_left_is_waited_at_until_somebody_listens(shared, monkeypatch):
    leave(shared)
    servers = []

    def pause(_seconds):
        if not servers:
            shared.unlink()
            servers.append(Server(shared, REPLY))

    monkeypatch.setattr("jobd.client.connection.time.sleep", pause)
    with Client() as client:
        assert client.workers() == REPLY
    servers[0].close()


def test_it_is_not_waited_at_for_long(shared, monkeypatch):
    leave(shared)
    now = [1000.0]
    monkeypatch.setattr(address.time, "monotonic", lambda: now[0])
    slept = []

    def pause(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("jobd.client.connection.time.sleep", pause)
    with Client() as client, pytest.raises(NotRunning, match=f"JOBD_SOCKET={shared}"):
        client.workers()
    assert 5 <= sum(slept) < 6


@pytest.mark.parametrize("what", ["nothing", "file", "fifo", "directory", "no directory"])
def test_anything_else_is_not_waited_at(shared, monkeypatch, what):
    if what == "file":
        shared.touch()
    elif what == "fifo":
        os.mkfifo(shared)
    elif what == "directory":
        shared.mkdir()
    elif what == "no directory":
        monkeypatch.setenv("JOBD_SOCKET", str(shared / "beneath"))
    assert not Address().is_being_replaced()
    with pytest.raises(NotRunning, match="nobody listens at JOBD_SOCKET="):
        Address().connect()


def test_the_lock_decides_where_there_is_one_of_ours(shared):
    leave(shared)
    lock = shared.with_name(paths.LOCK_NAME)
    lock.touch()
    assert paths.is_locked(shared) is False
    assert not Address().is_being_replaced()
    lock.unlink()
    os.mkfifo(lock)
    assert paths.is_locked(shared) is None
    assert Address().is_being_replaced()


def test_an_owner_is_named_of_what_the_variable_leads_to(home):
    with pytest.raises(BadRequest, match="at JOBD_SOCKET, which is not set"):
        Address(owner=4711).connect()
    with pytest.raises(NotRunning):
        Address(home / "explicit", owner=4711).connect()


@pytest.fixture
def stranger(monkeypatch):
    """Whoever listens is user 4711."""
    found = peers.Peer(77, 4711, 4711)
    monkeypatch.setattr(peers, "peer_of", lambda _sock: found)
    return found


@pytest.mark.parametrize("named", [True, False])
def test_of_an_explicit_socket_a_stranger_must_be_named(home, listening, stranger, named):
    path = home / "explicit"
    listening(path)
    if named:
        Address(path, owner=4711).connect().close()
        return
    with pytest.raises(NotPermitted, match="user number 4711 listens") as caught:
        Address(path).connect()
    assert f"JOBD_SOCKET={path} jobctl --owner 4711" in caught.value.message


def test_whom_the_configuration_names_is_nobody(shared, listening, stranger, home):
    listening(shared)
    (home / "jobd").mkdir()
    (home / "jobd/config.toml").write_text('[client]\nowner = "no-such-user"\n')
    told = r"line 2: \[client\] owner: there is no user 'no-such-user'"
    with pytest.raises(JobdError, match=told):
        Address().connect()


def test_who_takes_no_connection_is_not_waited_for_without_end(home, listening, monkeypatch):
    monkeypatch.setattr(peers, "CONNECT_WITHIN_S", 0.05)
    path = home / "full"
    listening(path, backlog=0)
    with contextlib.ExitStack() as stack:

        def knock_on():
            while True:
                stack.enter_context(Address(path).connect())

        with pytest.raises(JobdError, match="has taken no connection"):
            knock_on()


def test_a_path_too_long_for_the_kernel_is_reached(home, listening, monkeypatch):
    deep = home / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    listening("sock")
    Address(deep / "sock").connect().close()
    monkeypatch.setenv("JOBD_SOCKET", str(deep / "sock"))
    Address().connect().close()


def test_only_who_goes_on_listening_refuses(home, listening):
    path = home / "s"
    other = peers.Peer(os.getpid(), 4711, 4711)
    me = peers.Peer(os.getpid(), os.geteuid(), os.getegid())
    sock = listening(path)
    found = Address(path)
    assert not found.refuses(me)
    if os.geteuid() != 0:
        assert found.refuses(other)
    sock.close()
    assert not found.refuses(other)


def test_root_of_a_namespace_may_be_refused(home, listening, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(peers, "_map", lambda: [(0, 1)])
    path = home / "s"
    listening(path)
    found = Address(path)
    assert found.refuses(peers.Peer(os.getpid(), 65534, 65534)) is (os.getuid() == 0)
    assert not found.refuses(peers.Peer(os.getpid() + 1, 65534, 65534))
