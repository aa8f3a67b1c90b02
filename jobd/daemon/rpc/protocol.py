"""What is left of rpyc, and one client that speaks it.

Of its protocol one request is left, a call with one `bytes` that answers one `bytes`: no
attributes, no references to objects, no pickles, no compressed frames.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import rpyc
from rpyc.core.channel import Channel as RpycChannel
from rpyc.core.protocol import Connection
from rpyc.core.stream import SocketStream

from jobd.contract import frames, wire
from jobd.contract.call import Caller, Role
from jobd.contract.errors import BadRequest, Busy, JobdError, NotPermitted
from jobd.daemon.rpc.attendance import Attendee
from jobd.daemon.rpc.dispatch import Dispatch
from jobd.daemon.rpc.quota import UNWEIGHED, Memory
from jobd.system.failpoints import failpoint
from jobd.system.presence import Presence
from jobd.system.turn import Turn

_BUSY: Final = "jobd has too many large requests and answers at hand just now; try again"


class Session(rpyc.Service):  # type: ignore[misc] # rpyc has no types
    """One connected client: what it is told, and the memory that its messages take."""

    def __init__(
        self,
        dispatch: Dispatch,
        presence: Presence,
        caller: Caller,
        memory: Memory,
        attendee: Attendee,
        turn: Turn | None,
    ) -> None:
        """`turn`: the one in which all connections of a user are answered; None: at any time."""
        self._dispatch = dispatch
        self.presence = presence
        self._turn = turn
        self._caller = caller
        self._memory = memory
        self._attendee = attendee

    def refusal(self, length: int) -> JobdError | None:
        """Why a request of so many bytes is not read. None: it is, and the memory for it taken."""
        refusal = _too_long(self._caller, length)
        if refusal is None and not self._memory.take_request(length):
            refusal = Busy(_BUSY)
        if refusal is not None:
            self._dispatch.note_refusal(self._caller, refusal)
        return refusal

    def answer(self, payload: frames.Content) -> bytes:
        if self._turn is None:
            answer = self._dispatch.answer(payload, self._caller, self._attendee)
        else:
            with self._turn.taken():
                if self.presence.has_hung_up():
                    raise EOFError("it has not waited for its turn")
                answer = self._dispatch.answer(payload, self._caller, self._attendee)
        if not self._memory.take(len(answer)):
            answer = wire.encode_error(Busy(_BUSY))
        return answer

    def answered(self) -> None:
        """The answer has been sent."""
        self._memory.settle()
        self._attendee.answered()
        failpoint("after-reply")


class Channel(RpycChannel):  # type: ignore[misc] # rpyc has no types
    """Frames that are as long as this client's may be, once there is memory for them."""

    def __init__(self, sock: socket.socket, session: Session) -> None:
        super().__init__(SocketStream(sock), compress=False)
        self._session = session

    def recv(self) -> bytes | bytearray:
        frame = frames.Arriving(self.stream.sock)
        refusal = self._session.refusal(frame.length) if frame.length > UNWEIGHED else None
        if refusal is None:
            return frame.message()
        self.send(frames.reply(frames.number_of(frame.head()), wire.encode_error(refusal)))
        raise EOFError(refusal.message)

    def send(self, *message: bytes) -> None:
        try:
            frames.send(self.stream.sock, *message)
        except OSError as error:
            raise EOFError(str(error)) from error  # it has gone, and that is all


class Protocol(Connection):  # type: ignore[misc] # rpyc has no types
    """What is left of rpyc's protocol: a call with bytes, and closing."""

    @classmethod
    def _request_handlers(cls) -> dict[int, Callable[..., Any]]:
        """Nothing of rpyc's own is reached."""
        return {}

    def _dispatch(self, data: bytes | bytearray) -> None:
        self._recvlock.release()  # as rpyc does before a request
        request = frames.read_request(data)
        if request.content is None:
            raise EOFError("it says goodbye")
        answer = self._local_root.answer(request.content)
        self._channel.send(*frames.reply_parts(request.number, answer))
        self._local_root.answered()

    def close(self) -> None:
        """Without the farewell that would wait for a client that is gone or does not read."""
        if not self.closed:
            self._local_root.presence.leave()
            self._cleanup(_anyway=True)


def serve(sock: socket.socket, session: Session) -> None:
    """Until the client hangs up, also while it waits for an answer. Raises: whatever comes of what
    it sends.
    """
    sock.setblocking(True)  # noqa: FBT003
    frames.limit_pauses(sock)
    # Nothing of it is left to the environment, as rpyc's defaults are.
    config = {"bind_threads": False}
    with session.presence.served():
        Protocol(session, Channel(sock, session), config).serve_all()


def hang_up(sock: socket.socket) -> None:
    """From any thread: whoever serves it hears its end."""
    with suppress(OSError):  # it has gone
        sock.shutdown(socket.SHUT_RDWR)


def say_busy(sock: socket.socket) -> None:
    """The answer to its first request, whatever that is: only strangers are let go unheard."""
    busy = wire.encode_error(Busy("jobd has no place for another client just now; try again"))
    with suppress(OSError, frames.FrameError):
        sock.setblocking(False)  # noqa: FBT003
        frames.send(sock, frames.reply(0, busy))


def _too_long(caller: Caller, length: int) -> JobdError | None:
    if caller.role is Role.VIEWER and length > frames.MAX_SEEING:
        return NotPermitted(
            f"not permitted: {caller.user} is a viewer here, whose requests have at most "
            f"{frames.MAX_SEEING >> 10} kB, and this one has {length:,} bytes; name fewer jobs, "
            "or ranges of them (3-900)"
        )
    if length > frames.MAX_FRAME:
        return BadRequest(frames.too_long(length))
    return None
