"""The sockets that clients come in by, in the moment in which they are made and taken away."""

import errno
import os
import socket
import stat

import pytest

from jobd.contract.access import AccessConfig
from jobd.contract.errors import JobdError
from jobd.daemon.rpc.access import Access
from jobd.daemon.rpc.clients import Clients
from jobd.daemon.rpc.dispatch import Dispatch
from jobd.daemon.rpc.listener import Listener
from jobd.daemon.rpc.server import Server
from jobd.system.timer import Timer
from tests.helpers import wait_until


@pytest.fixture
def place(home):
    """Directories for the owner's socket and for that for others."""
    for name in ("state", "public"):
        (home / name).mkdir(mode=0o755)
    return home


@pytest.fixture
def server(place):
    own, dispatch = place / "state/jobd.sock", Dispatch({}, {}, Timer())
    clients = Clients(dispatch, Access(AccessConfig()), Timer(), 0)
    made = Server(own, place / "public/sock", dispatch, clients)
    yield made
    made.close()


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def after_bind(monkeypatch, action):
    """Do this whenever a socket has just been bound."""
    bind = socket.socket.bind

    def bind_and_more(sock, address):
        bind(sock, address)
        action(address)

    monkeypatch.setattr(socket.socket, "bind", bind_and_more)


def test_no_socket_is_ever_open_to_more_than_it_should_be(server, place, monkeypatch):
    seen = []
    after_bind(monkeypatch, lambda address: seen.append(stat.S_IMODE(os.stat(address).st_mode)))
    before = os.umask(0)
    try:
        server.listen()
    finally:
        os.umask(before)
    assert seen == [0o600, 0o600]
    assert (mode_of(place / "state/jobd.sock"), mode_of(place / "public/sock")) == (0o600, 0o666)


@pytest.mark.parametrize("what", ["link", "file", "socket that somebody listens at"])
def test_a_queue_that_has_run_goes_on_where_a_stranger_has_the_name(server, place, what):
    """A daemon that follows another has the owner's own socket, and comes back for the other."""
    own, shared = place / "state/jobd.sock", place / "public/sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        if what == "link":
            shared.symlink_to("nowhere")
        elif what == "file":
            shared.touch()
        else:
            theirs.bind(str(shared))
            theirs.listen()
        server.listen(without_others=True)
        assert own.is_socket()
        with pytest.raises(JobdError, match=r"(lies|listens) there"):
            server.mend(shared)
    shared.unlink()
    server.mend(shared)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(shared))
        wait_until(lambda: server.clients.places.taken("all") == 1)
    server.close_to_others()
    server.mend(shared)
    assert not shared.exists()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_takes_the_place_of_the_socket_keeps_its_mode(server, place, monkeypatch, kind):
    """The mode is that of the socket, never that of what its path leads to by then."""
    victim = place / ".profile"
    victim.write_text("mine")
    victim.chmod(0o600)
    shared = place / "public/sock"

    def swap(address):
        if os.path.basename(address) == "sock":
            shared.unlink()
            if kind == "link":
                shared.symlink_to(victim)
            else:
                victim.rename(shared)

    after_bind(monkeypatch, swap)
    with pytest.raises(JobdError, match="something else was put in the place of the socket"):
        server.listen()
    assert mode_of(shared if kind == "file" else victim) == 0o600
    server.close()
    assert shared.is_symlink() or shared.read_text() == "mine"


def test_a_directory_that_is_not_there_is_named(server, place):
    (place / "public").rmdir()
    with pytest.raises(JobdError, match=rf"\[access\] socket = .*: there is no .*{place}/public"):
        server.listen()


def test_a_leftover_goes_and_who_listens_stays(server, place):
    shared = place / "public/sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(shared))
        other.listen(0)
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            # It accepts nobody any more, and whoever waited for it would wait for ever.
            for client in (first, second):
                client.setblocking(False)
                client.connect_ex(str(shared))
            with pytest.raises(JobdError, match="somebody listens there already"):
                server.listen()
    assert stat.S_ISSOCK(shared.lstat().st_mode)
    server.listen()
    assert mode_of(shared) == 0o666
    server.close()
    assert not shared.exists()


def test_what_lies_in_its_place_by_the_end_is_not_taken_away(server, place):
    server.listen()
    shared = place / "public/sock"
    shared.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(shared))
        server.close()
        assert shared.exists()
    wait_until(lambda: not (place / "state/jobd.sock").exists())


def connected(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    return client


def test_it_is_closed_to_others_alone(server, place):
    """Also for those who are in already, and for those who had only knocked."""
    server.listen()
    own, shared = place / "state/jobd.sock", place / "public/sock"
    with connected(shared) as other, connected(own) as mine:
        wait_until(lambda: server.clients._others)
        server.close_to_others()
        assert other.recv(1) == b""
        assert not shared.exists()
        server.mend(shared)
        assert not shared.exists()
        with connected(own) as fresh:
            for client in (mine, fresh):
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.recv(1)
    wait_until(lambda: not server.clients._others)


@pytest.fixture
def scarce(monkeypatch):
    """How often from now on no descriptor is left, for a client and for /dev/null."""
    left = {"accept": 0, "spare": 0}
    accept, open_file = Listener.accept, os.open

    def use(what):
        if left[what]:
            left[what] -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def accept_or_not(listener):
        use("accept")
        return accept(listener)

    def open_or_not(path, *args, **options):
        if path == "/dev/null":
            use("spare")
        return open_file(path, *args, **options)

    monkeypatch.setattr(Listener, "accept", accept_or_not)
    monkeypatch.setattr(os, "open", open_or_not)
    return left


@pytest.mark.parametrize(("accepts", "spares"), [(1, 1), (2, 3), (4, 4)])
def test_whoever_knocks_is_heard_once_there_are_descriptors_again(
    server, place, scarce, accepts, spares
):
    """Another thread may be quicker to take the number that was given up for a moment."""
    server.listen()
    scarce.update(accept=accepts, spare=spares)
    own = place / "state/jobd.sock"
    with connected(own):
        wait_until(lambda: not scarce["accept"])
    with connected(own), connected(own):
        wait_until(lambda: server.clients.places.taken("all") == 2)


def test_an_error_that_nobody_thought_of_concerns_one_who_knocks(
    server, place, scarce, monkeypatch, caplog
):
    server.listen()
    scarce.update(accept=1)
    monkeypatch.setattr(server.clients, "turn_away", lambda *_, **__: 1 / 0)
    own = place / "state/jobd.sock"
    with connected(own) as client:
        assert client.recv(1) == b""
    with connected(own):
        wait_until(lambda: server.clients.places.taken("all") == 1)
    assert "ZeroDivisionError" in caplog.text
