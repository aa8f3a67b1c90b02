"""One viewer is answered one request at a time, however many it has; the owner at any time."""

import os
import threading
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from jobd.client.client import Client
from jobd.contract import frames, wire
from jobd.contract.call import Caller, Role
from jobd.contract.models import Events, Notifications, Output, Request, Show, Wait
from jobd.daemon.rpc import access, clients
from jobd.daemon.rpc.access import Guest
from jobd.system import presence, turn
from tests.helpers import wait_until
from tests.integration.inside import ids
from tests.integration.test_hostile import Raw

PATIENCE = 20.0
CONNECTIONS = 16


class Named(NamedTuple):
    """A guest who has a name in the place of a number."""

    uid: str
    role: Role

    def caller(self):
        return Caller(self.uid, self.role)


@pytest.fixture
def names(quiet, monkeypatch):
    """Who connects is the viewer that is named here last; None: the owner."""
    clients, found = quiet.daemon.built.server.clients, [None]
    access = clients._access.guest

    def guest(sock, *, shared):
        name = found[-1]
        return access(sock, shared=shared) if name is None else Named(name, Role.VIEWER)

    monkeypatch.setattr(clients._access, "guest", guest)
    monkeypatch.setattr(turn, "_PATIENCE_S", 1000.0)
    return found


class AtWork:
    """Answers in the place of a handler, and counts how many do so at once."""

    def __init__(self, handler):
        self._handler = handler
        self._lock = threading.Lock()
        self._all = threading.Event()
        self.now = self.most = self.answered = 0

    def __call__(self, request, call):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self._all.wait(0.01)  # others would come in meanwhile
        with self._lock:
            self.now -= 1
            self.answered += 1
        return self._handler(request, call)


@pytest.fixture
def at_work(quiet, monkeypatch):
    dispatch = quiet.daemon.built.server.dispatch
    found = AtWork(dispatch._handlers[Show])
    for handlers in (dispatch._handlers, dispatch._for_viewers):
        monkeypatch.setitem(handlers, Show, found)
    return found


def ask_at_once(quiet, names, each):
    """So many connections of each of these users, all at the same time."""
    job, threads = quiet.submit("true"), []

    def ask(client):
        for _ in range(3):
            client.show(job)

    with ExitStack() as stack:
        for name in each:
            for _ in range(CONNECTIONS):
                client = stack.enter_context(Client(quiet.paths.socket))
                names.append(name)
                client.status()  # it is connected as such
                threads.append(threading.Thread(target=ask, args=[client], daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)


def test_a_viewer_has_one_request_at_work_on_all_its_connections(quiet, names, at_work):
    ask_at_once(quiet, names, ["anna"])
    assert (at_work.answered, at_work.most) == (3 * CONNECTIONS, 1)


def test_two_viewers_do_not_wait_for_each_other(quiet, names, at_work):
    ask_at_once(quiet, names, ["anna", "bert"])
    assert (at_work.answered, at_work.most) == (6 * CONNECTIONS, 2)


def test_the_owner_waits_for_nobody(quiet, names, at_work):
    ask_at_once(quiet, names, [None])
    assert at_work.answered == 3 * CONNECTIONS
    assert at_work.most > 2


@pytest.fixture
def aside(monkeypatch):
    """Threads that wait for news just now, and have given their turn to others."""
    found = []

    @contextmanager
    def stepping_aside():
        has_turn = turn._held.turn is not None
        with turn.stepping_aside():
            found.extend([1] * has_turn)
            yield
        if has_turn:
            found.pop()

    monkeypatch.setattr(presence, "stepping_aside", stepping_aside)
    return found


def test_what_waits_for_news_keeps_nothing_waiting(quiet, names, aside, tmp_path):
    """A viewer that watches on one terminal looks on another; so for each request that waits."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    sent = quiet.send(f"read _ <{gate}")
    job = quiet.submit("true")
    last = quiet.client.events(Events()).next
    waiting = [
        Wait(selector=ids(job), wait=20.0), Wait(selector=ids(job), any=True, wait=20.0),
        Events(after=last, wait=20.0), Events(after=last, wait=20.0, written={job: 0}),
        Output(id=job, wait=20.0), Notifications(ids=[sent], wait=20.0),
    ]  # fmt: skip
    kinds = {type(request) for request in waiting}
    assert kinds == {kind for kind in Request.__subclasses__() if kind.about.waits}
    names.append("anna")
    answers = []

    def ask(request):
        with Client(quiet.paths.socket) as client:
            answers.append(client.request(request, request.about.reply))

    threads = [threading.Thread(target=ask, args=[each], daemon=True) for each in waiting]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(aside) == len(waiting))
    with Client(quiet.paths.socket) as client:
        assert client.status().running
    assert answers == []
    quiet.client.workers(1)
    gate.write_text("\n")
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == len(waiting)


def test_who_has_hung_up_before_its_turn_is_not_answered(quiet, names, at_work):
    """Sixteen large requests of one who is gone would keep its next ones waiting for long."""
    job = quiet.submit("true")
    message = frames.request(0, wire.encode_request(Show(id=job)))
    names.append("anna")
    with quiet.connect() as stays:
        stays.status()
        mine = quiet.daemon.built.server.clients._turns["anna"]
        mine.take()
        with ExitStack() as stack:
            for _ in range(5):
                raw = stack.enter_context(Raw(quiet.paths.socket))
                raw.frame(message)
            wait_until(lambda: len(mine._condition._waiters) == 5)
        mine.give()
        assert stays.show(job).job.id == job
    wait_until(lambda: quiet.daemon.built.server.clients.places.taken("user anna") == 0)
    assert at_work.answered == 1


def test_those_who_are_refused_leave_the_listener_some_time(quiet, names, monkeypatch):
    """However many knock, between two of them others are heard."""
    clients, refused = quiet.daemon.built.server.clients, []

    class Recorded(turn.Turn):
        def give(self):
            refused.append(1)
            super().give()

    monkeypatch.setattr(clients, "_knocking", Recorded())
    monkeypatch.setattr(clients._access, "guest", lambda *_, **__: None)
    for _ in range(3):
        with Raw(quiet.paths.socket) as raw:
            assert raw.socket.recv(1) == b""
    monkeypatch.setattr(clients._access, "guest", lambda *_, **__: Guest(4711, Role.VIEWER))
    monkeypatch.setattr(clients.places, "take", lambda *_: False)
    for _ in range(3):
        with Raw(quiet.paths.socket) as raw:
            assert raw.socket.recv(1) != b""
    wait_until(lambda: len(refused) == 6)


def test_viewers_who_knock_leave_the_listener_some_time(quiet, names, monkeypatch):
    """Who connects and hangs up without end has asked nothing, and so had no turn of its own."""
    clients, paced = quiet.daemon.built.server.clients, []

    class Recorded(turn.Turn):
        def take(self):
            paced.append(names[-1])
            super().take()

    monkeypatch.setattr(clients, "_knocking", Recorded())
    for name in ("anna", None, "bert"):
        names.append(name)
        with Client(quiet.paths.socket) as client:
            client.status()
    assert paced == ["anna", "bert"]


class Directory:
    """Who is asked for the logins of users, and does not answer before the test says so."""

    def __init__(self, monkeypatch):
        self.answers = threading.Event()
        self.asked = []
        for module in (access, clients):
            monkeypatch.setattr(module, "login", self._login)

    def _login(self, uid):
        self.asked.append(uid)
        assert self.answers.wait(PATIENCE)
        return f"user-{uid}"


@pytest.fixture
def directory(quiet, monkeypatch):
    made = Directory(monkeypatch)
    yield made
    made.answers.set()


def let_in(monkeypatch, quiet, guest):
    monkeypatch.setattr(quiet.daemon.built.server.clients._access, "guest", lambda *_, **__: guest)


@pytest.mark.parametrize("place", [True, False])
def test_a_directory_service_that_does_not_answer_keeps_nobody_from_coming_in(
    quiet, monkeypatch, directory, place, caplog
):
    """Neither the guest whose login it is to say, nor one who finds no place."""
    served = quiet.daemon.built.server.clients
    let_in(monkeypatch, quiet, Guest(4711, Role.ADMIN))
    with monkeypatch.context() as full:
        if not place:
            full.setattr(served.places, "take", lambda *_: False)
        first = Raw(quiet.paths.socket)
        wait_until(lambda: 4711 in directory.asked)
    let_in(monkeypatch, quiet, Named("me", Role.ADMIN))
    with first, Client(quiet.paths.socket) as client:
        assert client.status().running
        assert not directory.answers.is_set()
    directory.answers.set()
    if not place:
        wait_until(lambda: "too many clients: user-4711 was turned away" in caplog.text)


def test_nor_does_a_stranger(quiet, monkeypatch, directory, caplog):
    let_in(monkeypatch, quiet, None)
    with Raw(quiet.paths.socket) as raw:
        assert raw.socket.recv(1) == b""
    wait_until(lambda: directory.asked)
    let_in(monkeypatch, quiet, Named("me", Role.ADMIN))
    with Client(quiet.paths.socket) as client:
        assert client.status().running
    directory.answers.set()
    wait_until(lambda: f"user user-{os.geteuid()} was refused" in caplog.text)
