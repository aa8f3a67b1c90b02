"""The bytes between client and daemon: frames, and the two messages that travel in them.

rpyc carries them, and its bytes they are. A frame is `FRAME_HEADER` (how long the message is, and
whether it is compressed), the message and a line feed. A message is its kind, its number and its
content, written as rpyc's *brine* writes values. brine reads back whatever was written, sets of
numbers that collide and tuples of any depth, before anybody has looked at it; so it is never given
a byte of the other side. The one shape of a request and the one of an answer are read here, in one
pass.

Daemon and client have the same limits, and these are they. Any thread may call.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Final, NamedTuple

MAX_FRAME: Final = 64 * 1024 * 1024
"""Bytes of one message, either way; a longer one is refused unread."""
MAX_CONTENT: Final = MAX_FRAME - 64
"""Bytes of one request or answer; what stands before it in its message takes the others."""
MAX_SEEING: Final = 256 * 1024
"""Bytes of one request of those who may only see: it has no payload, and room for many ids."""
SMALL: Final = 64 * 1024
"""Bytes of a message that is not worth counting."""
PAUSE_S: Final = 30.0
"""Seconds for which the other side may send nothing, or take nothing, in the midst of a frame."""
FRAME_S: Final = 60.0
"""Seconds in which a frame has to come to its end, once its first byte has come."""

Content = bytes | memoryview

FRAME_HEADER: Final = struct.Struct("!LB")
"""Of rpyc.core.channel: length and, as 1, that the message is compressed."""
FLUSHER: Final = b"\n"
"""Of rpyc.core.channel: what closes a frame."""
_CHUNK: Final = 256 * 1024
"""Bytes that are read at a time."""
_PIECE: Final = 2 * SMALL
"""Bytes that are written at a time: for every few of them the kernel waits for room anew."""
_HEAD: Final = 32
"""Bytes in which kind and number of a message stand."""

# Of rpyc.core.brine and rpyc.core.consts: a message is its kind and the value (number, content).
_REQUEST: Final = b"\x01\x11"
_REPLY: Final = b"\x02\x11"
_EXCEPTION: Final = b"\x03"
_CALL: Final = b"\x11\x57\x11\x51\x10"
"""(HANDLE_CALL, (LABEL_VALUE, (content,)))."""
_CLOSE: Final = b"\x11\x52\x11\x51\x02"
"""(HANDLE_CLOSE, (LABEL_VALUE, ()))."""
_VALUE: Final = b"\x11\x51"
"""(LABEL_VALUE, content)."""
_SMALL_NUMBERS: Final = 0x50
"""What a number is written as begins here: 0 to 159 are one byte."""
_LAST_SMALL: Final = 0xEF
_NUMBER: Final = b"\x16"
"""Before a byte that says how many digits follow."""
_MOST_DIGITS: Final = 20
_EMPTY: Final = 0x01
_FEW: Final = 0x0A
"""One byte follows; the next three tags say two, three and four."""
_SHORT: Final = 0x0E
"""Before a byte that says how many follow."""
_LONG: Final = 0x0F
"""Before four bytes (big-endian) that say so."""


class FrameError(Exception):
    """What the other side did is nothing that rpyc would do here, or took too long.

    Its text is a sentence about the other side ("it sent ...").
    """


class Message(NamedTuple):
    """A request or an answer; `content` None: the other side says goodbye."""

    number: int
    """Counts the requests of a connection from 0; the answer to one has the same."""
    content: Content | None


def too_long(length: int) -> str:
    """What to say of a request that is."""
    return (
        f"{length:,} bytes in one request, {MAX_CONTENT:,} are the most; "
        "split the file and submit its parts"
    )


# --- messages -----------------------------------------------------------------------------------


def read_request(message: bytes | bytearray) -> Message:
    """Raises: FrameError."""
    number, at = _begin(message, _REQUEST)
    if message.startswith(_CLOSE, at) and len(message) == at + len(_CLOSE):
        return Message(number, None)
    if not message.startswith(_CALL, at):
        raise FrameError("it asked for something else than a call with one bytes")
    return Message(number, _content(message, at + len(_CALL)))


def read_reply(message: bytes | bytearray) -> Message:
    """Raises: FrameError (also for an exception: errors come as data)."""
    if message.startswith(_REPLY):
        number, at = _begin(message, _REPLY)
        if not message.startswith(_VALUE, at):
            raise FrameError("it sent something that is no plain value")
        return Message(number, _content(message, at + len(_VALUE)))
    if message.startswith(_EXCEPTION):
        raise FrameError("it sent an exception in the place of an answer")
    goodbye = read_request(message)
    if goodbye.content is not None:
        raise FrameError("it asked something")
    return goodbye


def request(number: int, content: bytes) -> bytes:
    return b"".join(request_parts(number, content))


def reply(number: int, content: bytes) -> bytes:
    return b"".join(reply_parts(number, content))


def request_parts(number: int, content: bytes) -> tuple[bytes, bytes]:
    """To be sent one after the other; a large content is not copied."""
    return b"".join((_REQUEST, _written(number), _CALL, _measured(content))), content


def reply_parts(number: int, content: bytes) -> tuple[bytes, bytes]:
    """The same of an answer."""
    return b"".join((_REPLY, _written(number), _VALUE, _measured(content))), content


def number_of(head: bytes | bytearray) -> int:
    """Of a request, by its first bytes. Raises: FrameError."""
    return _begin(head, _REQUEST)[0]


def _begin(message: bytes | bytearray, kind: bytes) -> tuple[int, int]:
    """The number of a message of this kind, and where its content begins."""
    if not message.startswith(kind) or len(message) <= len(kind):
        raise FrameError("it sent a message of another kind")
    at = len(kind)
    tag = message[at]
    if _SMALL_NUMBERS <= tag <= _LAST_SMALL:
        return tag - _SMALL_NUMBERS, at + 1
    begin = at + len(_NUMBER) + 1
    count = message[begin - 1] if begin <= len(message) else 0
    digits = bytes(message[begin : begin + min(count, _MOST_DIGITS)])
    if not message.startswith(_NUMBER, at) or len(digits) != count or not digits.isdigit():
        raise FrameError("it sent a message without a number")
    return int(digits), begin + count


def _content(message: bytes | bytearray, at: int) -> Content:
    """The bytes that are written from there to the end. A large content is not copied."""
    tag = message[at] if at < len(message) else None
    at += 1
    if tag == _LONG:
        at, count = at + 4, int.from_bytes(message[at : at + 4], "big")
    elif tag == _SHORT:
        at, count = at + 1, int.from_bytes(message[at : at + 1], "big")
    elif tag is not None and _FEW <= tag < _SHORT:
        count = tag - _FEW + 1
    elif tag == _EMPTY:
        count = 0
    else:
        raise FrameError("it sent something that is no bytes")
    if at + count != len(message):
        raise FrameError("it sent bytes of another length than it announced")
    return memoryview(message)[at:] if count > SMALL else bytes(message[at:])


def _written(number: int) -> bytes:
    if number <= _LAST_SMALL - _SMALL_NUMBERS:
        return bytes([number + _SMALL_NUMBERS])
    digits = b"%d" % number
    return _NUMBER + bytes([len(digits)]) + digits


def _measured(content: bytes) -> bytes:
    """What stands before the content."""
    count = len(content)
    if count == 0:
        return bytes([_EMPTY])
    if count <= _SHORT - _FEW:
        return bytes([_FEW + count - 1])
    return bytes([_SHORT, count]) if count < 256 else bytes([_LONG]) + count.to_bytes(4, "big")


# --- frames -------------------------------------------------------------------------------------


def limit_pauses(sock: socket.socket) -> None:
    """Neither reading nor writing waits for longer than `PAUSE_S` (SO_RCVTIMEO of socket(7)).

    By the kernel, not by Python, which would look before each byte. Waiting by poll(2) for a
    message to begin is not limited. The socket is a blocking one.
    """
    timeout = struct.pack("ll", int(PAUSE_S), int(PAUSE_S % 1 * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, timeout)


class Arriving:
    """A frame whose first byte has come; memory is taken for what has come of it.

    Raises: EOFError (the other side has hung up), FrameError (compressed, empty, too slow).
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._until = time.monotonic() + FRAME_S
        self.length, compressed = FRAME_HEADER.unpack(self._exactly(FRAME_HEADER.size))
        """Of the message, as it is announced."""
        if compressed or not self.length:
            raise FrameError(f"it sent {'a compressed' if compressed else 'an empty'} frame")

    def head(self) -> bytes | bytearray:
        """The first bytes of the message, to see what a frame is that will not be read."""
        return self._exactly(min(self.length, _HEAD))

    def message(self) -> bytes | bytearray:
        """All of it."""
        whole = self._exactly(self.length + len(FLUSHER))
        if not whole.endswith(FLUSHER):
            raise FrameError("it sent a frame without its end")
        if isinstance(whole, bytes):
            return whole[: -len(FLUSHER)]
        del whole[-len(FLUSHER) :]
        return whole

    def _exactly(self, count: int) -> bytes | bytearray:
        data = self._some(min(count, SMALL))
        if len(data) == count:
            return data
        whole = bytearray(data)
        while len(whole) < count:
            _check_time(self._until)
            whole += self._some(min(count - len(whole), _CHUNK))
        return whole

    def _some(self, count: int) -> bytes:
        try:
            data = self._sock.recv(count)
        except BlockingIOError:
            raise FrameError(
                f"it sent nothing for {PAUSE_S:.0f} s in the midst of a frame"
            ) from None
        except OSError as error:
            raise EOFError(str(error)) from error
        if not data:
            raise EOFError("it has hung up")
        return data


def send(sock: socket.socket, *message: bytes) -> None:
    """As a frame: the parts of one message.

    Raises: OSError, EOFError (it is closed), FrameError (it is too slow).
    """
    until = time.monotonic() + FRAME_S
    length = sum(map(len, message))
    parts = FRAME_HEADER.pack(length, 0), *message, FLUSHER
    for part in (b"".join(parts),) if length <= SMALL else parts:
        _send(sock, part, until)


def _send(sock: socket.socket, part: bytes, until: float) -> None:
    left = memoryview(part)
    while True:
        try:
            sent = sock.send(left[:_PIECE])
        except BlockingIOError:
            raise FrameError(f"it took nothing for {PAUSE_S:.0f} s") from None
        if sent == len(left):
            return
        left = left[sent:]
        _check_time(until)


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise FrameError(f"a frame has not come to its end within {FRAME_S:.0f} s")
