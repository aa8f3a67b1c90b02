"""The connection against a small server of the same protocol, on a real socket."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from rpyc.core import consts
from rpyc.core.channel import Channel
from rpyc.core.protocol import Connection
from rpyc.core.service import VoidService
from rpyc.core.stream import SocketStream

from jobd.client import connection as module
from jobd.client.client import Client
from jobd.client.follow import until_finished
from jobd.contract import frames, paths, wire
from jobd.contract.errors import (
    BadRequest,
    JobdError,
    NotFound,
    NotPermitted,
    NotRunning,
    VersionMismatch,
)
from jobd.contract.models import (
    Command,
    DaemonStatus,
    List,
    Selector,
    Status,
    Submit,
    Submitted,
    View,
    Wait,
    Waited,
    WorkersReply,
)
from jobd.contract.states import State
from tests.helpers import wait_until

HANG_UP = object()


class _Server(Connection):
    answer = None

    @classmethod
    def _request_handlers(cls):
        return {consts.HANDLE_CALL: cls._call, consts.HANDLE_CLOSE: cls._handle_close}

    def _call(self, payload):
        reply = self.answer(payload)
        if reply is HANG_UP:
            self._channel.close()
            raise EOFError
        return reply


class Late(NamedTuple):
    """A reply that is given once the gate is open."""

    reply: View
    gate: threading.Event


class Server:
    """Gives its scripted replies in order, over as many connections as it takes."""

    def __init__(self, path, *replies):
        self.envelopes = []
        self._replies = list(replies)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while self._replies:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._replies[0] is None:
                self._replies.pop(0)
                sock.close()
                continue
            connection = _Server(VoidService(), Channel(SocketStream(sock), compress=False))
            connection.answer = self._answer
            connection.serve_all()

    def _answer(self, payload):
        self.envelopes.append(wire.decode_envelope(payload))
        reply = self._replies.pop(0)
        if isinstance(reply, Late):
            assert reply.gate.wait(10)
            reply = reply.reply
        if isinstance(reply, bytes) or reply is HANG_UP:
            return reply
        if isinstance(reply, JobdError):
            return wire.encode_error(reply)
        return wire.encode_reply(reply)

    def close(self):
        with contextlib.suppress(OSError):
            # Also wakes an `accept` that is under way.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def pauses(monkeypatch):
    """Seconds that the client would have slept."""
    slept = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    return slept


@pytest.fixture
def path(home):
    return home / "s"


@pytest.fixture
def told():
    """For how many seconds the daemon was silent when that was told."""
    return []


@pytest.fixture
def client(path, told):
    with Client(path, on_silence=told.append) as found:
        yield found


@pytest.fixture
def serve(path, client):
    """A function that starts a server with these replies."""
    servers = []

    def start(*replies):
        servers.append(Server(path, *replies))
        return servers[-1]

    yield start
    client.close()
    for server in servers:
        server.close()


SUBMIT = Submit(commands=[Command(argv=[b"x"])], cwd=b"/")


def test_one_round_trip(serve, client):
    server = serve(WorkersReply(workers=3, busy=1), WorkersReply(workers=5, busy=1))
    assert client.workers() == WorkersReply(workers=3, busy=1)
    assert client.workers(5).workers == 5
    assert [envelope.name for envelope in server.envelopes] == ["workers", "workers"]


def test_errors_come_as_themselves(serve, client):
    serve(NotFound("job 7 does not exist"))
    with pytest.raises(NotFound, match="job 7 does not exist"):
        client.show(7)


def test_nobody_there_is_said_at_once(client, pauses):
    with pytest.raises(NotRunning, match="jobd start"):
        client.submit(SUBMIT)
    assert not pauses


def test_a_stale_socket_is_nobody(serve, client, pauses):
    serve().close()
    with pytest.raises(NotRunning, match="jobd start"):
        client.submit(SUBMIT)
    assert not pauses


def test_a_change_is_asked_again_under_the_same_id(serve, client, pauses):
    server = serve(HANG_UP, HANG_UP, Submitted(first=1, last=1))
    assert client.submit(SUBMIT).first == 1
    ids = {envelope.id for envelope in server.envelopes}
    assert len(server.envelopes) == 3
    assert len(ids) == 1
    assert len(ids.pop()) == 16
    assert len(pauses) == 2


def test_two_changes_have_two_ids(serve, client):
    server = serve(Submitted(first=1, last=1), Submitted(first=2, last=2))
    client.submit(SUBMIT)
    client.submit(SUBMIT)
    assert len({envelope.id for envelope in server.envelopes}) == 2


@pytest.mark.parametrize(("asked", "bound"), [(SUBMIT, 10), (List(), 30)])
def test_a_daemon_that_stays_away(asked, bound, serve, client, monkeypatch):
    server, slept = serve(HANG_UP), []

    def gone(seconds):
        slept.append(seconds)
        server.close()

    monkeypatch.setattr(module.time, "sleep", gone)
    with pytest.raises(NotRunning, match="jobd start"):
        client.request(asked, Submitted)
    assert bound <= sum(slept) < bound + 1


def test_a_daemon_that_says_that_it_leaves_is_not_waited_for(serve, client, pauses):
    server = serve(NotRunning("jobd leaves"))
    with pytest.raises(NotRunning, match=r"not running any more\. Start it with: jobd start"):
        client.wait(Wait(selector=Selector(ids=[(1, 1)]), wait=20.0))
    assert (len(server.envelopes), pauses) == (1, [])


@pytest.mark.parametrize(("taken", "is_known"), [(True, True), (False, False)])
def test_a_daemon_that_has_taken_its_socket_away_is_not_waited_for(
    taken, is_known, serve, client, path, monkeypatch
):
    """Its lock is free. One that was killed leaves its socket, and may be followed by another."""
    server, slept = serve(HANG_UP), []
    (path.parent / paths.LOCK_NAME).touch()

    def gone(seconds):
        slept.append(seconds)
        server.close()
        if taken:
            path.unlink(missing_ok=True)

    monkeypatch.setattr(module.time, "sleep", gone)
    with pytest.raises(NotRunning, match="jobd start"):
        client.wait(Wait(selector=Selector(ids=[(1, 1)]), wait=20.0))
    assert (len(slept) == 1) is is_known


def test_waiting_outlasts_a_restart_and_is_no_success(serve, client, pauses):
    failed = Waited(done=True, total=2, counts={State.COMPLETED: 1, State.FAILED: 1})
    serve(Waited(done=False, total=2), HANG_UP, None, failed)
    assert until_finished(client, Selector(ids=[(1, 2)])) == failed


MANY = 150
"""Hang-ups whose pauses are longer than the patience with one daemon that stays away."""


def test_a_wait_outlasts_any_number_of_daemons_that_served_it(serve, client, pauses, monkeypatch):
    monkeypatch.setattr(module, "_SERVED_S", -1.0)
    done = Waited(done=True, total=1, counts={State.COMPLETED: 1})
    serve(*[HANG_UP] * MANY, done)
    assert client.wait(Wait(selector=Selector(ids=[(1, 1)]))) == done
    assert len(pauses) == MANY


@pytest.mark.parametrize(
    ("served", "asked"), [(60.0, Wait(selector=Selector(ids=[(1, 1)]))), (-1.0, List())]
)
def test_whoever_is_turned_away_gives_up(served, asked, serve, client, pauses, monkeypatch):
    monkeypatch.setattr(module, "_SERVED_S", served)
    server = serve(*[HANG_UP] * MANY)
    with pytest.raises(JobdError):
        client.request(asked, Waited)
    assert len(server.envelopes) < MANY
    assert 30 <= sum(pauses) < 31


def test_whoever_waits_for_a_next_daemon_that_is_long_in_coming_is_told_so(
    serve, client, path, monkeypatch
):
    """The supervisor holds the lock, and nobody hangs up: nobody listens yet."""
    server = serve(HANG_UP)
    with (path.parent / paths.LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        monkeypatch.setattr(module.time, "sleep", lambda _: server.close())
        with pytest.raises(NotRunning, match=r"started again, and takes long; .*jobd log"):
            client.submit(SUBMIT)


def test_a_shutdown_is_asked_once(serve, client, pauses):
    serve(HANG_UP)
    with pytest.raises(NotRunning):
        client.shutdown()
    assert sum(pauses) == 0


def test_another_users_daemon_hangs_up_on_us(serve, client, pauses, monkeypatch):
    serve(None)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(NotPermitted):
        client.workers()
    assert not pauses


@pytest.mark.parametrize("answer", [b"", b"\xc1", b"\x80", wire.encode(Wait(selector=Selector()))])
def test_an_answer_that_cannot_be_read(serve, client, answer):
    serve(answer)
    with pytest.raises(VersionMismatch, match="jobd restart"):
        client.workers()


def test_version_mismatch_says_what_to_do(serve, client):
    serve(VersionMismatch("jobctl 2 speaks protocol 2"))
    with pytest.raises(VersionMismatch, match="protocol 2; replace the daemon: jobd restart"):
        client.workers()


@pytest.mark.parametrize(
    "refusal",
    [VersionMismatch("jobd 1"), BadRequest("status: Object contains unknown field `gpus`")],
)
def test_a_daemon_that_cannot_tell_of_gpus_is_asked_for_the_rest(refusal, serve, client):
    server = serve(refusal, DaemonStatus(running=True, workers=3))
    assert client.status(gpus=True).workers == 3
    asked = [wire.decode(envelope.body, Status) for envelope in server.envelopes]
    assert [request.gpus for request in asked] == [True, False]


def test_too_large_a_request_is_not_sent(client):
    huge = Submit(commands=[Command(argv=[b"x" * (frames.MAX_FRAME + 1)])], cwd=b"/")
    with pytest.raises(BadRequest, match="split the file"):
        client.submit(huge)


def test_importing_the_command_line_is_cheap():
    code = "import jobctl.cli, sys; print(*{'rpyc', 'tabulate', 'rich'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b""


def test_a_daemon_that_is_silent_is_told_once_and_waited_for(serve, client, told, monkeypatch):
    monkeypatch.setattr(module, "_SILENT_WHILE_CHANGING_S", 0.05)
    answer = WorkersReply(workers=3, busy=1)
    late = threading.Event()
    serve(Late(answer, late), Late(answer, late))
    threading.Thread(target=lambda: (wait_until(lambda: told), late.set())).start()
    assert (client.workers(), client.workers()) == (answer, answer)
    assert told == [0.05]


def test_an_answer_that_is_under_way_when_patience_ends_is_not_dropped(
    serve, client, told, monkeypatch
):
    """Its first half comes before, its second half after."""
    monkeypatch.setattr(module, "_SILENT_WHILE_CHANGING_S", 0.1)
    whole = threading.Event()
    read = frames.Arriving._some

    def slowly(frame, count):
        data = read(frame, count)
        if threading.current_thread() is threading.main_thread() and not whole.is_set():
            threading.Event().wait(0.2)  # past the patience, within one frame
            whole.set()
        return data

    serve(WorkersReply(workers=3, busy=1))
    monkeypatch.setattr(frames.Arriving, "_some", slowly)
    assert client.workers().workers == 3
    assert (whole.is_set(), told) == (True, [])


def test_whoever_has_little_patience_does_not_wait_longer(serve, client, told, monkeypatch):
    """Nor is told that one goes on waiting, where one does not."""
    monkeypatch.setattr(Status, "about", replace(Status.about, patience=0.1))
    late = threading.Event()
    serve(Late(WorkersReply(workers=3, busy=1), late))
    began = time.monotonic()
    with pytest.raises(JobdError, match="has not answered for"):
        client.status()
    late.set()
    assert time.monotonic() - began < module._SILENT_S
    assert told == []


def test_whoever_was_halted_for_long_takes_what_has_come_meanwhile(
    serve, client, told, monkeypatch
):
    """By ctrl-Z, longer than a daemon would be waited for."""
    monkeypatch.setattr(Status, "about", replace(Status.about, patience=0.1))
    answer, late, began = DaemonStatus(), threading.Event(), time.monotonic()
    hear = module._Protocol.serve

    def halted(connection, *args, **options):
        if not late.is_set():
            late.set()
            wait_until(lambda: connection._channel.poll(0))
            wait_until(lambda: time.monotonic() > began + 0.2)
        return hear(connection, *args, **options)

    monkeypatch.setattr(module._Protocol, "serve", halted)
    serve(Late(answer, late))
    assert client.status() == answer
    assert told == []


def test_nobody_waits_longer_than_a_daemon_holds_a_request_back(serve, client):
    """poll(2) could not even be told so."""
    answer = Waited(done=True, total=0)
    serve(answer)
    assert client.wait(Wait(selector=Selector(ids=[(1, 1)]), wait=10 * 365 * 86400.0)) == answer
