"""The rpyc adapter: who is it, decode, hand on, encode.

Of rpyc's protocol one request is left, a call with one `bytes` that answers one `bytes`: no
attributes, no references to objects, no pickles, no compressed frames. Before a byte is read the
kernel has said who is at the other end.
"""

from __future__ import annotations

import logging
import os
import re
import resource
import select
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import rpyc
from rpyc.core.channel import Channel
from rpyc.core.protocol import Connection
from rpyc.core.stream import SocketStream

from jobd.contract import frames, wire
from jobd.contract.call import Call, Caller, Role
from jobd.contract.errors import (
    BadRequest,
    Busy,
    InternalError,
    JobdError,
    NotPermitted,
    StoreFailed,
    VersionMismatch,
)
from jobd.contract.models import Request, View
from jobd.contract.paths import Paths
from jobd.contract.peers import peer_of
from jobd.contract.version import PROTOCOL, VERSION
from jobd.daemon.rpc.access import Access, check, check_kind, login
from jobd.daemon.rpc.listener import Listener, make_room
from jobd.daemon.rpc.quota import UNWEIGHED, Account, Memory, Quota, place_shares
from jobd.daemon.rpc.redaction import error_for_viewers
from jobd.system.failpoints import failpoint
from jobd.system.rate_limit import RateLimit

log = logging.getLogger(__name__)
_MAX_CLIENTS: Final = 1000
_OTHER_FILES: Final = 256
"""Descriptors that clients leave to the store and to jobs."""
_KNOCKS_TOLD: Final = 10
"""Lines in a minute on one stranger; a flood of knocks costs no more."""
_REFUSALS_TOLD: Final = 20
"""Lines in a minute on one user who wants one thing that is refused."""
_TROUBLES_TOLD: Final = 20
"""Lines in a minute on one user who finds no place, or whose connection breaks."""

_TOO_LONG: Final = re.compile(
    r"Expected `(str|bytes|array|object)` of length <= (\d+) - at `\$.*?([a-z_]+)[^a-z_]*`"
)
_UNITS: Final = {"str": "characters", "bytes": "bytes"}
_BUSY: Final = "jobd has too many large requests and answers at hand just now; try again"

Handler = Callable[[Any, Call], View]
"""Takes the request that it answers, and who asks."""


class _Channel(Channel):  # type: ignore[misc]
    """Frames that are as long as this client's may be, once there is memory for them."""

    def __init__(self, sock: socket.socket, session: _Session) -> None:
        super().__init__(SocketStream(sock), compress=False)
        self._session = session

    def recv(self) -> bytes | bytearray:
        frame = frames.Arriving(self.stream.sock)
        refusal = self._session.refusal(frame.length) if frame.length > UNWEIGHED else None
        if refusal is None:
            return frame.message()
        self.send(frames.reply(frames.number_of(frame.head()), wire.encode_error(refusal)))
        raise EOFError(refusal.message)

    def send(self, data: bytes) -> None:
        try:
            frames.send(self.stream.sock, data)
        except OSError as error:
            raise EOFError(str(error)) from error  # it has gone, and that is all


class _Protocol(Connection):  # type: ignore[misc]
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
        self._channel.send(frames.reply(request.number, self._local_root.answer(request.content)))
        self._local_root.answered()

    def close(self) -> None:
        """Without the farewell that would wait for a client that is gone or does not read."""
        if not self.closed:
            self._cleanup(_anyway=True)


class _User(int):
    """A number that reads as its login, looked up only where it is read: knocks must be cheap."""

    def __str__(self) -> str:
        return login(int(self))


class _Session(rpyc.Service):  # type: ignore[misc]
    """One connected client."""

    def __init__(self, service: Service, caller: Caller, memory: Memory) -> None:
        self._service = service
        self._caller = caller
        self._memory = memory

    def refusal(self, length: int) -> JobdError | None:
        """Why a request of so many bytes is not read. None: it is, and the memory for it taken."""
        refusal = _too_long(self._caller, length)
        if refusal is None and not self._memory.take_request(length):
            refusal = Busy(_BUSY)
        if refusal is not None:
            self._service.note_refusal(self._caller, refusal)
        return refusal

    def answer(self, payload: frames.Content) -> bytes:
        answer = self._service.answer(payload, self._caller)
        if not self._memory.take(len(answer)):
            answer = wire.encode_error(Busy(_BUSY))
        return answer

    def answered(self) -> None:
        self._memory.settle()
        failpoint("after-reply")


class Service:
    """`handlers`: what answers each request of `wire.REQUESTS`; `for_viewers`: what does so in
    their place where a viewer asks.

    `shared`: where others come in, None for nowhere.
    """

    def __init__(
        self,
        paths: Paths,
        handlers: Mapping[type[Request], Handler],
        for_viewers: Mapping[type[Request], Handler],
        access: Access,
        shared: Path | None,
    ) -> None:
        self._paths = paths
        self._handlers = handlers
        self._for_viewers = for_viewers
        self._access = access
        self._shared = shared
        self.most = _places(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        """Clients at a time."""
        self.places, self.memory = Quota(), Quota()
        self._knocks = RateLimit(log, each=_KNOCKS_TOLD)
        self._refusals = RateLimit(log, most=None, each=_REFUSALS_TOLD)
        self._crowding = RateLimit(log, each=_TROUBLES_TOLD)
        self._breaks = RateLimit(log, each=_TROUBLES_TOLD)
        self._faults = RateLimit(log, each=_TROUBLES_TOLD)
        """Each kind of warning is spared by itself, so that none hides another."""
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        """Given up for a moment when there are no descriptors left to accept a client with."""
        self._wake_r, self._wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._listeners: dict[Path, Listener] = {}
        """The owner's own, and the one for others where there is one."""
        self._closed = False
        self._open_to_others = shared is not None
        self._others: set[socket.socket] = set()
        """Connections by the socket for others."""

    # --- one request ------------------------------------------------------------------------

    def answer(self, payload: frames.Content, caller: Caller) -> bytes:
        try:
            answer = wire.encode_reply(self._handle(payload, caller))
        except NotPermitted as error:
            # By what it says, who wanted what: a flood of one hides nothing else of the same user.
            self._refusals.warning("%s", error.message, by=error.message)
            answer = wire.encode_error(error)
        except JobdError as error:
            self._fall_silent_if_closed(error)
            answer = wire.encode_error(self._told(error, caller))
        except Exception as error:
            self._fall_silent_if_closed(error)
            log.exception("a request of %s failed", caller.user)
            answer = wire.encode_error(InternalError("internal error in the daemon; see: jobd log"))
        failpoint("before-reply")
        return answer

    def note_refusal(self, caller: Caller, error: JobdError) -> None:
        user = caller.user
        self._refusals.warning("a request of %s was refused: %s", user, error.message, by=user)

    def _handle(self, payload: frames.Content, caller: Caller) -> View:
        try:
            envelope = wire.decode_envelope(payload)
        except wire.UNREADABLE as error:
            raise BadRequest(f"unreadable request: {error}") from None
        if envelope.protocol != PROTOCOL:
            raise VersionMismatch(
                f"jobctl {envelope.version} speaks protocol {envelope.protocol}, the running jobd "
                f"{VERSION} protocol {PROTOCOL}; replace the daemon, jobs go on: jobd restart"
            )
        if self._closed:
            _fall_silent()
        kind = wire.REQUESTS.get(envelope.name)
        if kind is None:
            raise _older(envelope) or BadRequest(f"unknown request {envelope.name[:40]!r}")
        check_kind(caller, kind)
        request = _decode(envelope, kind)
        check(caller, request)
        return self._handler(kind, caller)(request, Call(caller, envelope.id))

    def _handler(self, kind: type[Request], caller: Caller) -> Handler:
        if caller.role is Role.VIEWER and kind in self._for_viewers:
            return self._for_viewers[kind]
        return self._handlers[kind]

    def _told(self, error: JobdError, caller: Caller) -> JobdError:
        """What a viewer is not told, the owner finds in the log."""
        if caller.role is not Role.VIEWER:
            return error
        told = error_for_viewers(error)
        if told is not error:
            self._faults.warning(
                "a request of %s failed: %s", caller.user, error.message, by=caller.user
            )
        return told

    def _fall_silent_if_closed(self, error: Exception) -> None:
        """What failed because the store was closed under it is for the next daemon to do."""
        if self._closed and (isinstance(error, StoreFailed) or not isinstance(error, JobdError)):
            _fall_silent()

    # --- connections ------------------------------------------------------------------------

    def listen(self) -> None:
        """Raises: OSError, JobdError (the socket for others cannot be made).

        The lock is ours, so a socket of ours that is there is a leftover.
        """
        if self._shared is not None:
            make_room(self._shared)
        self._paths.socket.unlink(missing_ok=True)
        try:
            for path in self.sockets:
                self._listeners[path] = self._listener(path)
        except BaseException:
            while self._listeners:
                _, listener = self._listeners.popitem()
                listener.remove()
                listener.close()
            raise
        threading.Thread(target=self._accept_all, name="listener", daemon=True).start()

    @property
    def sockets(self) -> list[Path]:
        """Where clients come in: the owner first."""
        return [self._paths.socket, *([self._shared] if self._shared else [])]

    def mend(self, path: Path) -> None:
        """Where somebody has deleted a socket, listen anew; who is connected stays so.

        Raises: OSError (also where something else lies there), JobdError (others can by now change
        the way to it).
        """
        listener = self._listeners.get(path)
        if self._closed or listener is None or listener.is_at(path):
            return
        self._listeners[path] = self._listener(path)
        os.write(self._wake_w, b"x")
        log.warning("the socket %s was deleted, and is made anew", path)

    def _listener(self, path: Path) -> Listener:
        # Everybody may knock at the second: who it is the kernel tells, and strangers are let go
        # unheard.
        return Listener(path, 0o600 if path == self._paths.socket else 0o666)

    def close_to_others(self) -> None:
        """From any thread: nobody comes in by the socket for others any more, and nothing more is
        answered to those who did.
        """
        self._open_to_others = False
        listeners = self._listeners
        self._listeners = {at: each for at, each in listeners.items() if at != self._shared}
        os.write(self._wake_w, b"x")
        if self._shared in listeners:
            listeners[self._shared].remove()
        for sock in list(self._others):
            _hang_up(sock)

    def close(self, *, replaced: bool = False) -> None:
        """Take no more connections; requests under way are answered.

        `replaced`: another daemon follows. Others know by their socket, which stays there.
        """
        self._closed = True
        os.write(self._wake_w, b"x")
        for path, listener in self._listeners.items():
            if not (replaced and path == self._shared):
                listener.remove()

    def _accept_all(self) -> None:
        while not self._closed:
            self._accept_from({each.fileno(): each for each in self._listeners.values()})

    def _accept_from(self, listeners: dict[int, Listener]) -> None:
        """Until they are others."""
        poll = select.poll()
        for number in (*listeners, self._wake_r):
            poll.register(number, select.POLLIN)
        while not self._closed:
            ready = {number for number, _ in poll.poll()}
            if self._wake_r in ready and not self._closed:
                os.read(self._wake_r, 16)
                break
            for number in ready & listeners.keys():
                self._accept(listeners[number])
        for listener in listeners.values():
            if self._closed or listener not in self._listeners.values():
                listener.close()

    def _accept(self, listener: Listener) -> None:
        if self._closed:
            return
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self._crowding.warning("cannot accept a client: %s", error)
            self._turn_one_away(listener)
            return
        try:
            self._let_in(sock, shared=listener.path != self._paths.socket)
        except Exception:  # noqa: BLE001 - it concerns one who knocked; without us nobody is heard
            self._breaks.warning("a client could not be let in:\n%s", traceback.format_exc())
            sock.close()

    def _let_in(self, sock: socket.socket, *, shared: bool) -> None:
        caller = self._caller(sock, shared=shared)
        if caller is None:
            sock.close()
            return
        place = Account(self.places, place_shares(self.most, caller, shared=shared))
        if not place.take(1):
            user = caller.user
            self._crowding.warning("too many clients: %s was turned away", user, by=user)
            _say_busy(sock)
            sock.close()
            return
        try:
            threading.Thread(
                target=self._serve_one, args=(sock, caller, place, shared), name="client",
                daemon=True,
            ).start()  # fmt: skip
        except RuntimeError:
            self._crowding.warning("no thread for a client")
            place.settle()
            _say_busy(sock)
            sock.close()

    def _caller(self, sock: socket.socket, *, shared: bool) -> Caller | None:
        caller = self._access.caller(sock, shared=shared)
        if caller is None:
            uid = peer_of(sock).uid
            self._knocks.warning("user %s was refused", _User(uid), by=uid)
        return caller

    def _turn_one_away(self, listener: Listener) -> None:
        """No descriptor left: accept with the spare one and close, or the caller would hang."""
        os.close(self._spare)
        with suppress(OSError), listener.accept()[0] as sock:
            # Others take an end without a word for a refusal.
            shared = listener.path != self._paths.socket
            if shared and self._caller(sock, shared=shared) is not None:
                _say_busy(sock)
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def _serve_one(
        self,
        sock: socket.socket,
        caller: Caller,
        place: Account,
        shared: bool,  # noqa: FBT001
    ) -> None:
        if not shared:
            self._serve(sock, caller, place)
            return
        self._others.add(sock)
        try:
            if not self._open_to_others:
                _hang_up(sock)
            self._serve(sock, caller, place)
        finally:
            self._others.discard(sock)

    def _serve(self, sock: socket.socket, caller: Caller, place: Account) -> None:
        memory = Memory(self.memory, caller)
        try:
            sock.setblocking(True)  # noqa: FBT003
            frames.limit_pauses(sock)
            session = _Session(self, caller, memory)
            # Nothing of it is left to the environment, as rpyc's defaults are.
            config = {"bind_threads": False}
            _Protocol(session, _Channel(sock, session), config).serve_all()
        except Exception as error:  # noqa: BLE001 - whatever a client sends concerns it alone
            user = caller.user
            self._breaks.warning("the connection of %s was ended: %.200s", user, error, by=user)
        finally:
            memory.settle()
            place.settle()
            sock.close()


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):  # it has gone
        sock.shutdown(socket.SHUT_RDWR)


def _say_busy(sock: socket.socket) -> None:
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


def _fall_silent() -> NoReturn:
    """The process is about to end. Its end, seen as such, is what lets a client ask the daemon
    that follows; any answer from here would be the wrong one.
    """
    while True:
        threading.Event().wait()


def _decode(envelope: wire.Envelope, kind: type[Request]) -> Request:
    try:
        return msgspec.msgpack.decode(envelope.body, type=kind)
    except wire.UNREADABLE as error:
        raise _older(envelope) or BadRequest(f"{envelope.name}: {_plain(str(error))}") from None


def _plain(message: str) -> str:
    """What people may well do wrong is said in our own words."""
    long = _TOO_LONG.fullmatch(message)
    if long is None:
        return message
    kind, most, field = long[1], f"more than {int(long[2]):,}", long[3]
    if kind in _UNITS:
        return f"{field}: {most} {_UNITS[kind]}"
    return f"{field}: {most} in one request{'; name ranges (3-900)' if field == 'ids' else ''}"


def _older(envelope: wire.Envelope) -> VersionMismatch | None:
    """What another version of jobctl asks may be nothing wrong, but new."""
    if envelope.version == VERSION:
        return None
    return VersionMismatch(
        f"jobctl {envelope.version} asks for what the running jobd {VERSION} does not know; "
        "replace the daemon, jobs go on: jobd restart"
    )


def _places(descriptors: int) -> int:
    """How many clients at a time, where a process may have so many descriptors (getrlimit(2))."""
    if descriptors == resource.RLIM_INFINITY:
        return _MAX_CLIENTS
    return max(1, min(_MAX_CLIENTS, max(descriptors // 2, descriptors - _OTHER_FILES)))
