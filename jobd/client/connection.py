"""The connection to the daemon: made when it is first needed, and again when it breaks.

Requests that change something carry an id, so the daemon answers a repeated one with the first
result instead of doing it twice.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from msgspec.structs import replace
from rpyc.core import consts
from rpyc.core.async_ import AsyncResult
from rpyc.core.channel import Channel
from rpyc.core.protocol import Connection as RpycConnection
from rpyc.core.service import VoidService
from rpyc.core.stream import SocketStream

from jobd.client.address import Address
from jobd.client.stalls import check_acted
from jobd.contract import frames, models, peers, wire
from jobd.contract.errors import (
    BadRequest,
    Busy,
    JobdError,
    NotPermitted,
    NotRunning,
    VersionMismatch,
)
from jobd.contract.models import About, Request, View

V = TypeVar("V", bound=View)

_ASK_AGAIN_CHANGING: Final = 10.0
"""Seconds for which a change is tried again while the daemon is away."""
_ASK_AGAIN_READING: Final = 30.0
"""Seconds for which whoever reads or waits outlasts a restart of the daemon."""
_SERVED_S: Final = 0.1
"""Whoever is turned away is so at once."""
_SILENT_S: Final = 5.0
"""Seconds without an answer after which it is told that one goes on waiting."""
_SILENT_WHILE_CHANGING_S: Final = 20.0
"""The same where a million jobs may have to be changed."""
_CONFIG: Final = {"bind_threads": False}
"""Of rpyc, which would take it from the environment, and then frames have another form."""


class Connection:
    """The way to one daemon and, when it is replaced, to the next. One thread at a time uses it."""

    def __init__(self, address: Address, on_silence: Callable[[float], object]) -> None:
        """`on_silence`: called once when the daemon has not answered for so many seconds."""
        self._address = address
        self._on_silence = on_silence
        self._is_silence_told = False
        self._connection: RpycConnection | None = None
        self._peer: peers.Peer | None = None
        self._connected_once = False
        self._answered_once = False

    def close(self) -> None:
        """Hang up; the next request connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def request(self, request: Request, kind: type[V]) -> V:
        """Send a request and give its answer. Raises: JobdError."""
        about, payload = replace(request.about, patience=request.patience), _encode(request)
        held_back: float = min(getattr(request, "wait", 0.0), wire.MAX_WAIT)
        before: models.Acted | None = None
        while True:
            answer = self._answer(payload, about, kind, held_back)
            if not isinstance(answer, models.Acted):
                return answer
            check_acted(before, answer)
            if not answer.more:
                return answer
            before = answer

    def _answer(self, payload: bytes, about: About, kind: type[V], held_back: float) -> V:
        """Ask as often as it takes while the daemon is being replaced."""
        pauses, busy, listened = _pauses(about), None, False
        while (pause := next(pauses, None)) is not None:
            began = time.monotonic()
            try:
                return _decode(self._exchange(payload, about, held_back), kind)
            except NotRunning as error:
                self._raise_if_ended(error)
                listened = False
            except Busy as error:
                busy = error
                self.close()
            except (EOFError, OSError) as error:
                listened = True
                if busy is None:
                    self._raise_if_refused(error)
                if about.waits and time.monotonic() - began > _SERVED_S:
                    # The daemon was serving this request when it went, and did not turn us away.
                    pauses = _pauses(about)
            time.sleep(pause)
        if busy is not None:
            raise busy
        if about.ends or not self._address.is_being_replaced():
            raise self._address.gone()
        if not listened:
            raise NotRunning("jobd is being started again, and takes long; see why: jobd log")
        raise JobdError(
            "jobd runs and hangs up: too many clients, or it cannot go on; see: jobd log"
        )

    def _raise_if_ended(self, error: NotRunning) -> None:
        """Between two daemons nobody listens for a moment; lock and socket tell that from none."""
        if self._connection is not None:
            # The daemon says so itself: it leaves, and none follows.
            self.close()
            raise self._address.gone() from error
        if not self._connected_once and not self._address.is_being_replaced():
            raise error
        if self._address.has_ended():
            raise self._address.gone() from error

    def _exchange(self, payload: bytes, about: About, held_back: float) -> frames.Content:
        connection = self._connection or self._connect()
        try:
            answer = self._asked(connection, payload, about, held_back)
        except frames.FrameError as error:
            self.close()
            raise JobdError(
                f"what listens at {self._address.path} is no jobd, or one that hangs: {error}. "
                "If it is yours, see its log (jobd log) and replace it: jobd restart"
            ) from error
        except BaseException:
            # Also after Ctrl-C: a late answer must not be taken for the next one's.
            self.close()
            raise
        self._answered_once = True
        return answer

    def _asked(
        self, connection: RpycConnection, payload: bytes, about: About, held_back: float
    ) -> frames.Content:
        """Raises: JobdError (it has not been answered), FrameError, EOFError."""
        began, within = time.monotonic(), held_back + about.patience
        silent = held_back + (_SILENT_WHILE_CHANGING_S if about.changes else _SILENT_S)
        # Without rpyc's time limit: behind that it would drop an answer which has come.
        result = connection.async_request(consts.HANDLE_CALL, payload)
        if silent < within and not _has_come(connection, result, began + silent):
            self._tell_silence(silent)
        if not _has_come(connection, result, began + within):
            raise JobdError(
                f"jobd has not answered for {within:.0f} s; its log: jobd log. "
                "If it hangs: jobd restart"
            )
        answer: frames.Content = result.value
        return answer

    def _tell_silence(self, seconds: float) -> None:
        if not self._is_silence_told:
            self._is_silence_told = True
            self._on_silence(seconds)

    def _connect(self) -> RpycConnection:
        sock = self._address.connect()
        self._peer = peers.peer_of(sock)
        self._connected_once = True
        self._connection = _Protocol(VoidService(), _Channel(sock), _CONFIG)
        return self._connection

    def _raise_if_refused(self, error: Exception) -> None:
        """The daemon hangs up on strangers before it reads a byte."""
        if self._answered_once or self._peer is None or not self._address.refuses(self._peer):
            return
        raise NotPermitted(
            f"not permitted: the daemon at {self._address.path} belongs to "
            f"{peers.named(self._peer.uid)}, who lets you do nothing there"
        ) from error


class _Channel(Channel):  # type: ignore[misc] # rpyc has no types
    """Frames within the limits of the daemon's own. Raises: EOFError, FrameError."""

    def __init__(self, sock: socket.socket) -> None:
        frames.limit_pauses(sock)
        super().__init__(SocketStream(sock), compress=False)

    def recv(self) -> bytes | bytearray:
        frame = frames.Arriving(self.stream.sock)
        if frame.length > frames.MAX_FRAME:
            raise frames.FrameError(f"it announced {frame.length:,} bytes at once")
        return frame.message()

    def send(self, *message: bytes) -> None:
        try:
            frames.send(self.stream.sock, *message)
        except (BrokenPipeError, ConnectionResetError):
            return  # what the daemon said before it hung up is still to be read, and then its end
        except OSError as error:
            self.close()
            raise EOFError(str(error)) from error


class _Protocol(RpycConnection):  # type: ignore[misc] # rpyc has no types
    """Takes answers to what it has asked, and answers nothing that the other side could ask."""

    @classmethod
    def _request_handlers(cls) -> dict[int, Any]:
        return {}

    def _send(self, _: int, seq: int, args: tuple[int, tuple[int, tuple[bytes]]]) -> None:
        _, (_, (content,)) = args
        self._channel.send(*frames.request_parts(seq, content))

    def _dispatch(self, data: bytes | bytearray) -> None:
        try:
            number, content = frames.read_reply(data)
            if content is not None:
                self._hand_on(number, content)
        finally:
            self._recvlock.release()  # as rpyc does behind an answer
        if content is None:
            self.close()
            raise EOFError("the daemon says goodbye")

    def _hand_on(self, number: int, content: frames.Content) -> None:
        if number not in self._request_callbacks:
            raise frames.FrameError("it answered what nobody had asked")
        self._seq_request_callback(consts.MSG_REPLY, number, False, content)  # noqa: FBT003 - rpyc's

    def close(self) -> None:
        """Without a farewell."""
        if not self.closed:
            self._cleanup(_anyway=True)


def _has_come(connection: RpycConnection, result: AsyncResult, until: float) -> bool:
    """Whether the answer is there by that time (monotonic). Whoever was halted past it takes what
    has come meanwhile.
    """
    while not result.ready:
        left = until - time.monotonic()
        if not connection.serve(max(0.0, left)) and left <= 0:
            break
    return bool(result.ready)


def _encode(request: Request) -> bytes:
    payload = wire.encode_request(request, os.urandom(16) if request.about.changes else b"")
    if len(payload) > frames.MAX_CONTENT:
        raise BadRequest(frames.too_long(len(payload)))
    return payload


def _decode(answer: frames.Content, kind: type[V]) -> V:
    try:
        return wire.decode_reply(answer, kind)
    except VersionMismatch as error:
        hint = "" if "jobd restart" in error.message else "; replace the daemon: jobd restart"
        raise VersionMismatch(error.message + hint) from error
    except wire.UNREADABLE as error:
        raise VersionMismatch(
            f"cannot read the daemon's answer ({error}); if it is an older one: jobd restart"
        ) from error


def _pauses(about: About) -> Iterator[float]:
    """Seconds to sleep after each try: short at first, the last ones half a second."""
    if about.ends:
        yield 0.0
        return
    left = _ASK_AGAIN_CHANGING if about.changes else _ASK_AGAIN_READING
    pause = 0.02
    while left > 0:
        yield pause
        left -= pause
        pause = min(pause * 1.5, 0.5)
