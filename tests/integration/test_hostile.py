"""Whatever a client sends concerns it alone: an error or the end, and others are served."""

import contextlib
import os
import resource
import select
import socket
import struct
import threading
import time
import zlib

import msgspec
import pytest
from rpyc.core import brine, consts

from jobd.client.client import Client
from jobd.contract import frames, wire
from jobd.contract.errors import BadRequest, Busy, InternalError, JobdError, VersionMismatch
from jobd.contract.models import MAX_NAME, DaemonStatus, Selector, Status, View
from jobd.contract.paths import ShortAddress
from jobd.contract.version import PROTOCOL, VERSION
from tests.helpers import wait_until
from tests.integration.inside import Inside

HEADER = struct.Struct("!LB")
PATIENCE = 20.0
SERVED = {"HANDLE_CALL", "HANDLE_CLOSE"}


class Raw:
    """A client that speaks whatever it likes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # With a timeout it would not wait while many others knock (EAGAIN of connect(2)).
        with ShortAddress(path) as address:
            self.socket.connect(address)
        self.socket.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, data, *, compressed=False):
        self.send(HEADER.pack(len(data), compressed) + data + b"\n")

    def request(self, handler, args, *, seq=1, kind=consts.MSG_REQUEST):
        self.frame(brine.I1.pack(kind) + brine.dump((seq, (handler, args))))

    def call(self, payload, **options):
        self.request(consts.HANDLE_CALL, values(payload), **options)

    def answer(self):
        """The kind of the answer and what is in it; None: hung up."""
        try:
            header = self._read(HEADER.size)
            length, _ = HEADER.unpack(header)
            data = self._read(length + 1)[:-1]
        except EOFError:
            return None
        seq, content = brine.load(data[1:])
        assert seq == 1
        return data[0], content

    def _read(self, count):
        found = b""
        while len(found) < count:
            try:
                more = self.socket.recv(count - len(found))
            except ConnectionResetError:
                more = b""
            if not more:
                raise EOFError
            found += more
        return found

    def error(self):
        """The error that is in a reply, raised."""
        kind, (label, content) = self.answer()
        assert (kind, label) == (consts.MSG_REPLY, consts.LABEL_VALUE)
        return wire.decode_reply(content, View)


def values(*args):
    return consts.LABEL_VALUE, args


@pytest.fixture
def raw(quiet):
    """Good clients are served before, beside and after what this one does."""
    beside = quiet.connect()
    assert beside.status().running
    with Raw(quiet.paths.socket) as made:
        yield made
        assert beside.status().running
        assert quiet.submit("true") >= 1
    assert quiet.connect().status().running


def envelope(**fields):
    return wire.encode(
        wire.Envelope(
            **{
                "protocol": PROTOCOL,
                "version": VERSION,
                "name": "status",
                "body": msgspec.Raw(b"\x80"),
                **fields,
            }
        )
    )


def body(value):
    return msgspec.Raw(msgspec.msgpack.encode(value))


def test_the_raw_client_can_be_good(raw):
    raw.call(wire.encode_request(Status()))
    kind, (_, content) = raw.answer()
    assert kind == consts.MSG_REPLY
    assert wire.decode_reply(content, DaemonStatus).running


@pytest.mark.parametrize(
    ("payload", "error", "words"),
    [
        (b"", BadRequest, "unreadable"),
        (b"\xc1" * 100, BadRequest, "unreadable"),
        (b"\x91" * 100_000, BadRequest, "unreadable"),
        (msgspec.msgpack.encode({"protocol": "one"}), BadRequest, "unreadable"),
        (envelope(name="explode"), BadRequest, "unknown request 'explode'"),
        (envelope(name="x" * 10_000), BadRequest, "unknown request 'xxx"),
        (envelope(name="__init__"), BadRequest, "unknown"),
        (envelope(protocol=PROTOCOL + 1), VersionMismatch, "jobd restart"),
        (envelope(name="later", version="9.0"), VersionMismatch, "jobd restart"),
        (envelope(protocol=0), VersionMismatch, "protocol 0"),
        (envelope(body=msgspec.Raw(b"")), BadRequest, "unreadable"),
        (envelope(body=msgspec.Raw(b"\xc0")), BadRequest, "status"),
        pytest.param(
            envelope(body=msgspec.Raw(b"\x91" * 50_000 + b"\x01")),
            BadRequest,
            "unreadable",
            id="nested body",
        ),
        (envelope(body=body({"surprise": 1})), BadRequest, "surprise"),
        (envelope(name="show", body=body({"id": "1"})), BadRequest, "id"),
        (envelope(name="show", body=body({"id": 0})), BadRequest, "id"),
        (envelope(name="show", body=body({"id": 2**63})), BadRequest, "id"),
        (envelope(name="show", body=body({})), BadRequest, "id"),
        (envelope(name="workers", body=body({"workers": -1})), BadRequest, "workers"),
        (envelope(name="workers", body=body({"workers": 10**9})), BadRequest, "workers"),
        (envelope(name="stop", body=body({"selector": {"ids": [[1, 2, 3]]}})), BadRequest, "ids"),
        (envelope(name="wait", body=body({"selector": {}, "wait": -1})), BadRequest, "wait"),
        (envelope(name="events", body=body({"limit": 10**6})), BadRequest, "limit"),
        (envelope(name="list", body=body({"cursor": "a:b:c:d"})), BadRequest, "cursor"),
        (envelope(name="submit", body=body({"commands": [{"argv": ["a"]}]})), BadRequest, "argv"),
    ],
)
def test_a_bad_request_is_an_error_with_its_reason(raw, payload, error, words):
    raw.call(payload)
    with pytest.raises(JobdError, match=words) as caught:
        raw.error()
    assert type(caught.value) is error
    raw.call(wire.encode_request(Status()))
    assert raw.answer()[0] == consts.MSG_REPLY


def test_a_defect_is_told_without_its_inside(quiet, monkeypatch):
    monkeypatch.setitem(quiet.daemon.built.server.dispatch._handlers, Status, lambda *_: 1 / 0)
    with pytest.raises(InternalError, match="jobd log") as caught:
        quiet.client.status()
    assert "division" not in str(caught.value)
    assert quiet.client.workers().workers == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (consts.LABEL_REMOTE_REF, ("builtins.object", 1, 2)),
        (consts.LABEL_LOCAL_REF, ("builtins.object", 1, 2)),
        (consts.LABEL_TUPLE, ((consts.LABEL_REMOTE_REF, ("os.system", 1, 2)),)),
        (99, b""),
        values(1),
        values("text"),
        values(),
        values(b"a", b"b"),
        values(wire.encode_request(Status()), (("key", 1),)),
        (consts.LABEL_VALUE, 17),
    ],
)
def test_only_one_bytes_is_an_argument(raw, arguments):
    raw.request(consts.HANDLE_CALL, arguments)
    answer = raw.answer()
    assert answer is None or answer[0] == consts.MSG_EXCEPTION


@pytest.mark.parametrize(
    "name",
    sorted({name for name in vars(consts) if name.startswith("HANDLE_")} - SERVED),
)
def test_nothing_else_of_rpyc_is_answered(raw, name):
    raw.request(getattr(consts, name), values(1, "__class__", b"x"))
    answer = raw.answer()
    assert answer is None or answer[0] == consts.MSG_EXCEPTION
    assert "Traceback" not in str(answer)


@pytest.mark.parametrize("kind", [consts.MSG_REPLY, consts.MSG_EXCEPTION, 0, 9])
def test_nobody_asked_for_an_answer(raw, kind):
    raw.call(b"", kind=kind)
    assert raw.answer() is None


def test_who_says_goodbye_is_let_go(raw):
    raw.request(consts.HANDLE_CLOSE, values())
    assert raw.answer() in (None, (consts.MSG_REPLY, (consts.LABEL_VALUE, None)))
    assert raw.answer() is None


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: jobd\r\n\r\n",
        os.urandom(4096),
        HEADER.pack(frames.MAX_FRAME + 1, 0),
        HEADER.pack(0xFFFFFFFF, 0) + b"x" * 1000,
        HEADER.pack(1000, 1) + zlib.compress(b"\0" * 100_000).ljust(1000, b"\0") + b"\n",
        HEADER.pack(0, 0) + b"\n",
        HEADER.pack(1, 0) + b"\x01\n",
        HEADER.pack(6, 0) + b"\x01\xff\xff\xff\xff\xff\n",
    ],
    ids=["http", "noise", "too long", "longest", "compressed", "empty", "no body", "no brine"],
)
def test_garbage_is_hung_up_on(raw, garbage):
    raw.send(garbage)
    # Noise may announce a frame that is allowed; it is over when no more can come.
    raw.socket.shutdown(socket.SHUT_WR)
    assert raw.answer() is None


def test_a_nest_too_deep_is_hung_up_on(raw):
    """Each byte opens a tuple of one: the reader must neither crash nor spin."""
    raw.frame(brine.I1.pack(consts.MSG_REQUEST) + brine.TAG_TUP1 * 1_000_000)
    answer = raw.answer()
    assert answer is None or answer[0] == consts.MSG_EXCEPTION


@pytest.mark.parametrize("half", [b"", b"\0", HEADER.pack(1000, 0) + b"half"])
def test_who_falls_silent_disturbs_nobody(quiet, half):
    with Raw(quiet.paths.socket) as first, Raw(quiet.paths.socket) as second:
        first.send(half)
        second.send(half)
        assert quiet.connect().status().running


def test_who_does_not_read_disturbs_nobody(quiet):
    quiet.submit(*["x" * 1000] * 2000)
    with Raw(quiet.paths.socket) as deaf:
        for _ in range(20):
            deaf.call(envelope(name="list"))
        assert quiet.connect().status().running


def test_more_clients_than_there_are_places(quiet, monkeypatch):
    clients = quiet.daemon.built.server.clients
    whole = {"all": clients.most}
    taken = clients.most - clients.places.taken("all")
    assert clients.places.take(whole, taken)
    monkeypatch.setattr("jobd.client.connection._ASK_AGAIN_READING", 0.1)
    with quiet.connect() as refused, pytest.raises(Busy, match="no place for another client"):
        refused.status()
    clients.places.give_back(whole, 1)
    wait_until(lambda: quiet.connect().status().running)
    clients.places.give_back(whole, taken - 1)


@pytest.mark.parametrize(
    "glob", ["*a" * 127 + "b", "*" + "[ab]" * 63 + "c", "*?" * 127 + "b", "*" + "a" * 253 + "b"]
)
def test_a_name_that_nearly_fits_a_pattern_everywhere_costs_little(quiet, glob):
    quiet.submit(*["true"] * 300, name="a" * MAX_NAME)
    begin = time.monotonic()
    assert quiet.listed(selector=Selector(name=glob)) == []
    assert time.monotonic() - begin < PATIENCE, "each star doubles it"


def test_a_hundred_come_and_go(quiet):
    raws = [Raw(quiet.paths.socket) for _ in range(100)]
    for each in raws:
        each.call(wire.encode_request(Status()))
    assert [each.answer()[0] for each in raws] == [consts.MSG_REPLY] * 100
    taken = quiet.daemon.built.server.clients.places.taken("all")
    for each in raws:
        each.socket.close()
    wait_until(lambda: quiet.daemon.built.server.clients.places.taken("all") == taken - 100)


@contextlib.contextmanager
def no_descriptor_left():
    """For this process, and so for the daemon in it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for fd in fillers:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def told_without_a_descriptor(path):
    """What one hears for whom the daemon has no descriptor left.

    Others before may be let in: the daemon itself gives back one or the other that it held open.
    """
    with contextlib.ExitStack() as stack:
        knocking = [
            stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            for _ in range(16)
        ]
        with no_descriptor_left():
            for each in knocking:
                each.connect(str(path))
            poll, told = select.poll(), {each.fileno(): each for each in knocking}
            for number in told:
                poll.register(number, select.POLLIN)
            ((number, _), *_) = poll.poll(PATIENCE * 1000)
            with contextlib.suppress(ConnectionResetError):
                return told[number].recv(4096)
    return b""


def test_without_a_descriptor_left_a_client_is_turned_away_and_the_next_is_served(quiet):
    assert told_without_a_descriptor(quiet.paths.socket) == b""
    assert quiet.connect().status().running


@pytest.fixture
def open_to_others(jobd_home):
    """A daemon that has a second socket, and the path of that."""
    shared = jobd_home.with_name("shared")
    made = Inside(jobd_home, access={"socket": str(shared)}, workers=0)
    yield made, shared
    made.close()


def test_without_a_descriptor_left_one_of_others_is_told_so(open_to_others):
    """An end without a word would be a refusal."""
    _, shared = open_to_others
    assert b"no place for another client" in told_without_a_descriptor(shared)


def test_without_a_thread_for_it_a_client_is_told_so(open_to_others, monkeypatch):
    _, shared = open_to_others
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "client":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr("jobd.client.connection._ASK_AGAIN_READING", 0.1)
    with Client(shared) as client, pytest.raises(Busy, match="no place for another client"):
        client.status()
    monkeypatch.undo()
    with Client(shared) as client:
        assert client.status().running


def test_a_defect_with_one_who_knocks_makes_nobody_deaf(open_to_others, monkeypatch, caplog):
    _, shared = open_to_others
    with monkeypatch.context() as broken:
        broken.setattr("jobd.daemon.rpc.access.peer_of", lambda _sock: 1 / 0)
        with Raw(shared) as raw:
            assert raw.answer() is None
    wait_until(lambda: "could not be let in" in caplog.text)  # written after it is let go
    with Client(shared) as client:
        assert client.status().running


@pytest.mark.parametrize("clean", [True, False])
def test_only_a_daemon_that_is_replaced_leaves_its_sockets(open_to_others, clean):
    """By them clients know that another one follows."""
    inside, shared = open_to_others
    inside.daemon.close(clean=clean)
    inside.abandon()
    assert shared.exists() is not clean
    assert inside.paths.socket.exists() is not clean
    follower = Inside(inside.paths.state, access={"socket": str(shared)}, workers=0)
    with Client(shared) as client:
        assert client.status().running
    follower.close()


def test_who_vanishes_while_waiting_leaves_no_thread(quiet):
    job = quiet.submit("true")
    taken = quiet.daemon.built.server.clients.places.taken("all")
    with Raw(quiet.paths.socket) as vanishing:
        wait = {"selector": {"ids": [[job, job]]}, "wait": 0.3}
        vanishing.call(envelope(name="wait", body=body(wait)))
    wait_until(lambda: quiet.daemon.built.server.clients.places.taken("all") == taken)
