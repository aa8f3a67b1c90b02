"""What rpyc writes is read as it was meant; of everything else no byte is believed."""

import socket
import threading
import time
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rpyc.core import brine, consts, vinegar
from rpyc.core.channel import Channel
from rpyc.core.protocol import Connection
from rpyc.core.service import VoidService
from rpyc.core.stream import SocketStream

from jobd.contract import frames
from jobd.contract.frames import FrameError

NUMBERS = st.integers(0, 10**18) | st.integers(0, 1000)
CONTENTS = st.binary(max_size=600) | st.integers(60_000, 70_000).map(bytes)
COLLIDING = [(n + 1) * (2**61 - 1) for n in range(75_000)]
"""All of them have the hash 0."""


def as_rpyc(kind, number, content):
    return brine.I1.pack(kind) + brine.dump((number, content))


def call(number, payload):
    return as_rpyc(
        consts.MSG_REQUEST, number, (consts.HANDLE_CALL, (consts.LABEL_VALUE, (payload,)))
    )


def value(number, payload):
    return as_rpyc(consts.MSG_REPLY, number, (consts.LABEL_VALUE, payload))


@settings(deadline=None)
@given(NUMBERS, CONTENTS)
@example(0, b"")
@example(159, b"1")
@example(160, b"12")
@example(161, b"123")
@example(1, b"1234")
@example(1, bytes(255))
@example(1, bytes(256))
def test_what_rpyc_writes_is_read_and_written_the_same(number, payload):
    request, reply = call(number, payload), value(number, payload)
    assert frames.read_request(request) == (number, payload)
    assert frames.read_request(bytearray(request)) == (number, payload)
    assert frames.number_of(request[:32]) == number
    assert frames.request(number, payload) == request
    assert frames.read_reply(reply) == (number, payload)
    assert frames.reply(number, payload) == reply


class Kept(Channel):
    """Keeps what rpyc sends."""

    def __init__(self):
        super().__init__(None, compress=False)
        self.sent = []

    def send(self, data):
        self.sent.append(data)

    def close(self):
        pass


def test_what_rpycs_own_client_sends_is_read():
    channel = Kept()
    connection = Connection(VoidService(), channel)
    for number in range(400):
        connection.async_request(consts.HANDLE_CALL, b"x" * number)
    connection.async_request(consts.HANDLE_CLOSE)
    *calls, close = channel.sent
    assert [frames.read_request(sent) for sent in calls] == [(n, b"x" * n) for n in range(400)]
    assert frames.read_request(close) == (400, None)
    assert frames.read_reply(close).content is None
    connection._cleanup()


def read(reader, message):
    """What it makes of it, or None; nothing else is ever raised."""
    try:
        return reader(message)
    except FrameError:
        return None


def agrees(message):
    """Whatever is read is what rpyc would have read."""
    request, reply = read(frames.read_request, message), read(frames.read_reply, message)
    read(frames.number_of, message[:32])
    if request is not None and request.content is not None:
        number, (handler, (label, arguments)) = brine.load(message[1:])
        assert (handler, label) == (consts.HANDLE_CALL, consts.LABEL_VALUE)
        assert (number, *arguments) == request
    if reply is not None and reply.content is not None:
        assert brine.load(message[1:]) == (reply.number, (consts.LABEL_VALUE, reply.content))


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(b"\x01")
@example(b"\x01\x11")
@example(b"\x02\x11\x16")
@example(b"\x02\x11\x16\xff1")
@example(b"\x02\x11\x16\x02 1\x11\x51\x01")
def test_any_bytes_are_read_or_refused(message):
    agrees(message)


@settings(deadline=None)
@given(st.sampled_from([call, value]), NUMBERS, st.binary(max_size=300), st.data())
def test_a_message_with_other_bytes_in_it_is_read_or_refused(write, number, payload, data):
    message = bytearray(write(number, payload))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(message)))
        message[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    agrees(bytes(message))


@pytest.mark.parametrize(
    "message",
    [
        call(1, b"x") + b"x",
        call(1, b"x")[:-1],
        call(-1, b"x"),
        call(10**30, b"x"),
        call(1, "text"),
        call(1, (b"x",)),
        call(1, None),
        as_rpyc(1, 1, (consts.HANDLE_CALL, (consts.LABEL_VALUE, (b"x", b"y")))),
        as_rpyc(1, 1, (consts.HANDLE_CALL, (consts.LABEL_TUPLE, ((consts.LABEL_VALUE, b"x"),)))),
        as_rpyc(1, 1, (consts.HANDLE_GETATTR, (consts.LABEL_VALUE, (b"x",)))),
        value(1, b"x"),
        as_rpyc(consts.MSG_EXCEPTION, 1, (consts.LABEL_VALUE, b"x")),
        as_rpyc(9, 1, (consts.LABEL_VALUE, b"x")),
    ],
)
def test_nothing_else_is_a_request(message):
    with pytest.raises(FrameError):
        frames.read_request(message)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (value(1, b"x") + b"x", "another length"),
        (value(1, "text"), "no bytes"),
        (value(1, frozenset([1])), "no bytes"),
        (as_rpyc(consts.MSG_REPLY, 1, (consts.LABEL_REMOTE_REF, ("a", 1, 2))), "no plain value"),
        (call(1, b"x"), "asked something"),
        (
            as_rpyc(3, 1, vinegar.dump(SystemExit, SystemExit(3), None, False, False)),
            "an exception",
        ),
    ],
)
def test_nothing_else_is_an_answer(message, words):
    with pytest.raises(FrameError, match=words):
        frames.read_reply(message)


def fastest(work, *args):
    """Seconds of this thread, the least of a few times: others use the processor, too."""

    def once():
        began = time.thread_time_ns()
        work(*args)
        return time.thread_time_ns() - began

    return min(once() for _ in range(5))


@pytest.mark.parametrize(
    "content",
    [
        brine.TAG_FSET + brine.dump(tuple(COLLIDING)),
        brine.TAG_TUP1 * 8_000_000,
        brine.TAG_TUP_L4 + brine.I4.pack(2**32 - 1) + brine.TAG_TUP1 * 1_000_000,
        brine.TAG_INT_L4 + brine.I4.pack(4_000_000) + b"9" * 4_000_000,
        brine.TAG_UNICODE * 4_000_000,
    ],
    ids=["colliding", "deep", "wide", "a long number", "texts in texts"],
)
@pytest.mark.parametrize("where", ["number", "content", "argument"])
def test_values_that_are_costly_to_make_cost_less_than_their_sum(content, where):
    """Less than zlib takes to look at each byte once; so nothing is made of them."""
    begin = {
        "number": b"\x01\x11",
        "content": call(1, b"")[:3],
        "argument": call(1, b"")[:-1],
    }[where]
    message = begin + content + bytes(100_000)
    assert read(frames.read_request, message) is None
    assert read(frames.read_reply, b"\x02" + message[1:]) is None
    assert fastest(read, frames.read_request, message) < fastest(zlib.crc32, message)
    assert fastest(read, frames.read_reply, message) < fastest(zlib.crc32, message)


# --- frames -------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("size", [1, 100, 64_000, 65_536, 65_537, 300_000, 3_000_000])
@pytest.mark.parametrize("way", ["to rpyc", "from rpyc", "ours"])
def test_frames_are_those_of_rpyc(pair, size, way):
    ours, theirs = pair
    message, found = bytes(range(256)) * (size // 256) + b"x" * (size % 256), []
    channel = Channel(SocketStream(theirs), compress=False)

    def receive():
        if way == "to rpyc":
            found.append(channel.recv())
        else:
            found.append(bytes(frames.Arriving(ours if way == "from rpyc" else theirs).message()))

    reader = threading.Thread(target=receive)
    reader.start()
    if way == "from rpyc":
        channel.send(message)
    else:
        frames.send(ours, message)
    reader.join()
    assert found == [message]


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        (frames.FRAME_HEADER.pack(5, 1) + b"12345\n", FrameError, "a compressed frame"),
        (frames.FRAME_HEADER.pack(0, 0) + b"\n", FrameError, "an empty frame"),
        (frames.FRAME_HEADER.pack(5, 0) + b"123456", FrameError, "without its end"),
        (frames.FRAME_HEADER.pack(5, 0) + b"12345", EOFError, "hung up"),
        (frames.FRAME_HEADER.pack(2**32 - 1, 0), EOFError, "hung up"),
        (b"\0", EOFError, "hung up"),
        (b"", EOFError, "hung up"),
    ],
)
def test_half_a_frame_is_none(pair, sent, error, words):
    ours, theirs = pair
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(error, match=words):
        frames.Arriving(ours).message()


@pytest.mark.parametrize("sent", [b"\0", frames.FRAME_HEADER.pack(1000, 0) + b"half"])
def test_a_frame_that_pauses_is_given_up(pair, sent, monkeypatch):
    monkeypatch.setattr(frames, "PAUSE_S", 0.01)
    ours, theirs = pair
    frames.limit_pauses(ours)
    theirs.sendall(sent)
    with pytest.raises(FrameError, match="sent nothing for 0 s"):
        frames.Arriving(ours).message()


def test_who_takes_nothing_is_given_up(pair, monkeypatch):
    monkeypatch.setattr(frames, "PAUSE_S", 0.01)
    ours, _ = pair
    frames.limit_pauses(ours)
    with pytest.raises(FrameError, match="took nothing for 0 s"):
        frames.send(ours, bytes(10_000_000))


def test_a_frame_that_never_pauses_has_its_time_all_the_same(pair, monkeypatch):
    monkeypatch.setattr(frames, "FRAME_S", -1.0)
    ours, theirs = pair
    theirs.sendall(frames.FRAME_HEADER.pack(1000, 0) + b"a")
    frame = frames.Arriving(ours)
    with pytest.raises(FrameError, match="not come to its end"):
        frame.message()
    with pytest.raises(FrameError, match="not come to its end"):
        frames.send(ours, bytes(10_000_000))


def test_memory_is_taken_for_what_has_come(pair):
    """It announces 4 GB and sends 200 KB of them."""
    import tracemalloc

    ours, theirs = pair
    theirs.sendall(frames.FRAME_HEADER.pack(2**32 - 1, 0) + bytes(100_000))
    theirs.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    try:
        with pytest.raises(EOFError):
            frames.Arriving(ours).message()
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
