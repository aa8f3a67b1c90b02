"""Whatever listens in the daemon's place: a clear error, soon, and a bound for its memory."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import tracemalloc
import zlib
from pathlib import Path

import msgspec
import pytest
from rpyc.core import brine, consts, vinegar

from jobd.client import connection as module
from jobd.client.client import Client
from jobd.contract import frames, models, wire
from jobd.contract.errors import InternalError, JobdError, VersionMismatch
from jobd.contract.models import Command, List, Selector, Submit
from jobd.contract.version import VERSION
from tests.helpers import wait_until

HEADER = frames.FRAME_HEADER
COLLIDING = [(n + 1) * (2**61 - 1) for n in range(50_000)]
PATIENCE = 20.0


def frame(message):
    return HEADER.pack(len(message), 0) + message + b"\n"


def answer(content, number=0):
    return frame(frames.reply(number, content))


def body(raw):
    """An answer with such a body, whatever that is."""
    reply = wire.Reply(version=VERSION, body=msgspec.Raw(raw))
    return answer(msgspec.msgpack.encode(reply))


def value(content):
    """As brine writes it, the content in its own words."""
    return frame(b"\x02\x11\x50\x11\x51" + content)


class Fake:
    """Sends the same to everybody who asks something, and then listens on."""

    def __init__(self, path, said, *, reads=True):
        self.clients = 0
        self._said = said
        self._reads = reads
        self._open = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            self.clients += 1
            # The client hangs up in the midst of what it does not want.
            with contextlib.suppress(OSError, EOFError):
                if self._reads:
                    frames.Arriving(sock).message()
                for piece in self._said() if callable(self._said) else [self._said]:
                    sock.sendall(piece)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join(PATIENCE)


@pytest.fixture
def path(home):
    return home / "s"


@pytest.fixture
def client(path):
    with Client(path) as found:
        yield found


@pytest.fixture
def fake(path, client, monkeypatch):
    """A function that has this said; it waits for no second try and no long pause."""
    made = []
    monkeypatch.setattr(module, "_ASK_AGAIN_READING", 0.1)
    monkeypatch.setattr(module, "_ASK_AGAIN_CHANGING", 0.1)
    monkeypatch.setattr(frames, "PAUSE_S", 0.2)

    def start(said, **options):
        made.append(Fake(path, said, **options))
        return made[-1]

    yield start
    client.close()
    for each in made:
        each.close()


def trickle():
    yield HEADER.pack(1000, 0)
    while True:
        yield b"x"


def endless_answers():
    number = 0
    while True:
        yield answer(b"", number := number + 1)


def endless_bytes():
    yield HEADER.pack(frames.MAX_FRAME, 0)
    while True:
        yield bytes(65536)


RAISED = vinegar.dump(SystemExit, SystemExit(3), None, False, False)
SENT = {
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100,
    "noise": bytes(range(256)) * 40,
    "too long": HEADER.pack(frames.MAX_FRAME + 1, 0) + bytes(1000),
    "longest": HEADER.pack(2**32 - 1, 0) + bytes(1000),
    "half": HEADER.pack(1000, 0) + b"half",
    "compressed": HEADER.pack(len(z := zlib.compress(bytes(10_000_000))), 1) + z + b"\n",
    "empty": HEADER.pack(0, 0) + b"\n",
    "colliding": value(brine.TAG_FSET + brine.dump(tuple(COLLIDING))),
    "deep": value(brine.TAG_TUP1 * 8_000_000),
    "number": value(brine.TAG_INT_L4 + brine.I4.pack(3_000_000) + b"9" * 3_000_000),
    "reference": frame(
        brine.I1.pack(consts.MSG_REPLY) + brine.dump((0, (consts.LABEL_REMOTE_REF, ("os", 1, 2))))
    ),
    "exception": frame(brine.I1.pack(consts.MSG_EXCEPTION) + brine.dump((0, RAISED))),
    "deep exception": frame(brine.I1.pack(consts.MSG_EXCEPTION) + brine.TAG_TUP1 * 8_000_000),
    "request": frame(frames.request(0, b"x")),
    "not asked": answer(b"", 7),
    "endless": endless_answers,
}


@pytest.mark.parametrize("said", SENT.values(), ids=SENT)
def test_what_is_no_answer_is_a_clear_error_at_once(fake, client, path, said):
    made = fake(said)
    tracemalloc.start()
    try:
        with pytest.raises(JobdError, match="is no jobd, or one that hangs: it") as caught:
            client.status()
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.exit_code == 1
    assert str(path) in caught.value.message
    assert "jobd restart" in caught.value.message
    assert made.clients == 1


@pytest.mark.parametrize("said", [trickle, endless_bytes])
def test_an_answer_without_an_end_is_not_waited_for(fake, client, said, monkeypatch):
    monkeypatch.setattr(frames, "FRAME_S", 0.3)
    # A whole frame, if it is that fast, has no right end.
    fake(said)
    with pytest.raises(JobdError, match=r"not come to its end|without its end"):
        client.status()


def test_a_request_that_nobody_takes_is_not_waited_for(fake, client):
    fake(b"", reads=False)
    script = Command(argv=[b"/x"], script=b"x" * 1_000_000)
    with pytest.raises(JobdError, match="it took nothing"):
        client.submit(Submit(commands=[script], cwd=b"/"))


def array(count, element=b""):
    return b"\xdd" + struct.pack("!L", count) + element * count


def job_with(**fields):
    """A page with one job of such fields."""
    job = {
        "id": 1, "name": "", "command": "", "argv": [], "shell": False, "cwd": "/",
        "state": "failed", "submitted_at": "2026-01-01T00:00:00Z", **fields,
    }  # fmt: skip
    return msgspec.msgpack.encode({"jobs": [job]})


ABSURD = {
    "nested": body(b"\x81\xa4jobs" + b"\x91" * 200_000 + b"\x90"),
    "announced": body(b"\x81\xa4jobs\xdd\xff\xff\xff\xff"),
    "many jobs": body(b"\x81\xa4jobs" + array(5_000_000, b"\x80")),
    "many missing": body(b"\x82\xa4jobs\x90\xa7missing" + array(5_000_000, b"\x01")),
    "many words": body(job_with(argv=[""] * 1_000_001)),
    "no state": body(job_with(state="exploded")),
    "no text": body(b"\x81\xa4jobs\x91\x81\xa4name\xa2\xff\xff"),
    "no map": body(b"\x01"),
    "nothing": body(b""),
    "nil": body(b"\xc0"),
    "no reply": answer(b"\xc1"),
    "no bytes": answer(b""),
}


@pytest.mark.parametrize("said", ABSURD.values(), ids=ABSURD)
def test_an_answer_of_absurd_size_or_form_is_a_clear_error(fake, client, said):
    fake(said)
    tracemalloc.start()
    try:
        with pytest.raises((VersionMismatch, InternalError)) as caught:
            client.list(List(selector=Selector(all=True)))
        # The answer itself, once as it came and once without its frame, and little more.
        assert tracemalloc.get_traced_memory()[1] < 3 * len(said) + 15_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.exit_code == 1
    assert len(caught.value.message) < 500


def test_an_error_is_as_long_as_the_daemon_would_make_it(fake, client):
    error = wire.WireError(kind="SystemExit", message="x" * 1_000_000)
    fake(answer(msgspec.msgpack.encode(wire.Reply(version=VERSION, error=error))))
    with pytest.raises(InternalError, match=r"^x{1000}…$"):
        client.status()


def test_keys_that_collide_cost_little_more_than_others(monkeypatch):
    """Numbers of 64 bits that begin at the same place of a table find another one soon."""

    def cost(step):
        keys = {(n * step) % 2**63: 0 for n in range(60_000)}
        raw = msgspec.msgpack.encode({"done": [], "attempts": keys})
        return min(fastest(raw) for _ in range(5))

    def fastest(raw):
        began = module.time.thread_time()
        msgspec.msgpack.decode(raw, type=models.Acted)
        return module.time.thread_time() - began

    assert cost(2**40) < 20 * cost(1)


def test_rpycs_setting_of_the_environment_changes_no_frame(fake, monkeypatch, path):
    """RPYC_BIND_THREADS would put two numbers before each message."""
    defaults = module.RpycConnection.__init__.__globals__["DEFAULT_CONFIG"]
    monkeypatch.setitem(defaults, "bind_threads", 1)
    fake(answer(wire.encode_reply(models.WorkersReply(workers=3, busy=1))))
    with Client(path) as client:
        assert client.workers().workers == 3


def test_a_goodbye_in_the_place_of_an_answer_is_asked_again(fake, client):
    close = (consts.HANDLE_CLOSE, (consts.LABEL_VALUE, ()))
    made = fake(frame(brine.I1.pack(consts.MSG_REQUEST) + brine.dump((0, close))))
    with pytest.raises(JobdError):
        client.status()
    assert made.clients > 1


def test_a_change_that_is_never_done_is_not_asked_for_without_end(fake, client):
    more = models.Acted(done=[1], more=True)
    # Far more often than is needed, and then hung up on.
    fake(lambda: (answer(wire.encode_reply(more), number) for number in range(500)))
    with pytest.raises(JobdError, match="has changed some of the jobs, and does not go on"):
        client.rm(Selector(all=True))


@pytest.mark.parametrize("said", ["compressed", "exception", "deep"])
def test_the_command_says_so_and_exits_with_1(fake, home, said):
    path = home / "jobd.sock"
    made = Fake(path, SENT[said])
    try:
        done = subprocess.run(
            [Path(sys.executable).parent / "jobctl", "status"],
            env={**os.environ, "JOBD_HOME": str(home)}, capture_output=True, text=True,
            check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        made.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no jobd, or one that hangs" in done.stderr
    assert "Traceback" not in done.stderr
    assert "SystemExit" not in done.stderr
    wait_until(lambda: not made._thread.is_alive())
