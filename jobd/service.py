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
import stat
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import rpyc
from rpyc.core.channel import Channel
from rpyc.core.protocol import Connection
from rpyc.core.stream import SocketStream

from jobd.access import Access, Caller, Role, check, check_name, login, peer_of
from jobd.contract import frames, wire
from jobd.contract.errors import (
    BadRequest,
    Busy,
    InternalError,
    JobdError,
    NotPermitted,
    StoreFailed,
    VersionMismatch,
)
from jobd.contract.models import Record, View
from jobd.contract.paths import Paths, ShortAddress, identity
from jobd.contract.version import PROTOCOL, VERSION
from jobd.crash import crash_point
from jobd.quota import Account, Memory, Quota, place_shares
from jobd.sparing import Sparing

log = logging.getLogger(__name__)
_MAX_CLIENTS: Final = 1000
_OTHER_FILES: Final = 256
"""Descriptors that clients leave to the store and to jobs."""

_TOO_LONG: Final = re.compile(
    r"Expected `(str|bytes|array|object)` of length <= (\d+) - at `\$.*?([a-z_]+)[^a-z_]*`"
)
_UNITS: Final = {"str": "characters", "bytes": "bytes"}
_BUSY: Final = "jobd has too many large requests and answers at hand just now; try again"

Handler = Callable[[Any, str, bytes], View]
"""Takes the request, the caller's login and the request id."""


class _Channel(Channel):  # type: ignore[misc]
    """Frames that are as long as this client's may be, once there is memory for them."""

    def __init__(self, sock: socket.socket, session: _Session) -> None:
        super().__init__(SocketStream(sock), compress=False)
        self._session = session

    def recv(self) -> bytes | bytearray:
        frame = frames.Arriving(self.stream.sock)
        refusal = self._session.refusal(frame.length) if frame.length > frames.SMALL else None
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


class _Session(rpyc.Service):  # type: ignore[misc]
    """One connected client."""

    def __init__(self, service: Service, caller: Caller, memory: Memory) -> None:
        self._service = service
        self._caller = caller
        self._memory = memory

    def refusal(self, length: int) -> JobdError | None:
        """Why a request of so many bytes is not read. None: it is, and the memory for it taken."""
        refusal = _too_long(self._caller, length)
        if refusal is None and not self._memory.take(length):
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
        crash_point("after-reply")


class Service:
    """`handlers`: what answers each request of `wire.REQUESTS`, by its name.

    `shared`: where others come in, None for nowhere.
    """

    def __init__(
        self, paths: Paths, handlers: Mapping[str, Handler], access: Access, shared: Path | None
    ) -> None:
        self._paths = paths
        self._handlers = handlers
        self._access = access
        self._shared = shared
        self.most = _places(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        """Clients at a time."""
        self.places, self.memory = Quota(), Quota()
        self._sparing = Sparing(log)
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        """Given up for a moment when there are no descriptors left to accept a client with."""
        self._wake_r, self._wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._listeners: dict[Path, _Listener] = {}
        """The owner's own, and the one for others where there is one."""
        self._closed = False

    # --- one request ------------------------------------------------------------------------

    def answer(self, payload: frames.Content, caller: Caller) -> bytes:
        try:
            answer = wire.encode_reply(self._handle(payload, caller))
        except NotPermitted as error:
            self._sparing.warning("%s", error.message)
            answer = wire.encode_error(error)
        except JobdError as error:
            self._fall_silent_if_closed(error)
            answer = wire.encode_error(error)
        except Exception as error:
            self._fall_silent_if_closed(error)
            log.exception("a request of %s failed", caller.user)
            answer = wire.encode_error(InternalError("internal error in the daemon; see: jobd log"))
        crash_point("before-reply")
        return answer

    def note_refusal(self, caller: Caller, error: JobdError) -> None:
        self._sparing.warning("a request of %s was refused: %s", caller.user, error.message)

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
        handler = self._handlers.get(envelope.name)
        if handler is None:
            raise _older(envelope) or BadRequest(f"unknown request {envelope.name[:40]!r}")
        check_name(caller, envelope.name)
        request = _decode(envelope)
        check(caller, envelope.name, request)
        return handler(request, caller.user, envelope.id)

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
            _free(self._shared)
        self._paths.socket.unlink(missing_ok=True)
        for path in self.sockets:
            self._listeners[path] = self._listener(path)
        threading.Thread(target=self._accept_all, name="listener", daemon=True).start()

    @property
    def sockets(self) -> list[Path]:
        """Where clients come in: the owner first."""
        return [self._paths.socket, *([self._shared] if self._shared else [])]

    def mend(self, path: Path) -> None:
        """Where somebody has deleted a socket, listen anew; who is connected stays so.

        Raises: OSError (also where something else lies there).
        """
        listener = self._listeners.get(path)
        if self._closed or listener is None or listener.is_at(path):
            return
        self._listeners[path] = self._listener(path)
        os.write(self._wake_w, b"x")
        log.warning("the socket %s was deleted, and is made anew", path)

    def _listener(self, path: Path) -> _Listener:
        # Everybody may knock at the second: who it is the kernel tells, and strangers are let go
        # unheard.
        return _Listener(path, 0o600 if path == self._paths.socket else 0o666)

    def close(self) -> None:
        """Take no more connections; requests under way are answered."""
        self._closed = True
        os.write(self._wake_w, b"x")
        for path, listener in self._listeners.items():
            # In a directory that was deleted and made anew the socket is another daemon's.
            if listener.is_at(path):
                with suppress(OSError):
                    path.unlink()

    def _accept_all(self) -> None:
        while not self._closed:
            self._accept_from({each.fileno(): each for each in self._listeners.values()})

    def _accept_from(self, listeners: dict[int, _Listener]) -> None:
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

    def _accept(self, listener: _Listener) -> None:
        if self._closed:
            return
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self._sparing.warning("cannot accept a client: %s", error)
            self._turn_one_away(listener)
            return
        shared = listener.path != self._paths.socket
        caller = self._caller(sock, shared=shared)
        if caller is None:
            sock.close()
            return
        place = Account(self.places, place_shares(self.most, caller, shared=shared))
        if not place.take(1):
            self._sparing.warning("too many clients: %s was turned away", caller.user)
            _say_busy(sock)
            sock.close()
            return
        try:
            threading.Thread(
                target=self._serve, args=(sock, caller, place), name="client", daemon=True
            ).start()
        except RuntimeError:
            self._sparing.warning("no thread for a client")
            place.settle()
            sock.close()

    def _caller(self, sock: socket.socket, *, shared: bool) -> Caller | None:
        caller = self._access.caller(sock, shared=shared)
        if caller is None:
            self._sparing.warning("user %s was refused", login(peer_of(sock)[0]))
        return caller

    def _turn_one_away(self, listener: _Listener) -> None:
        """No descriptor left: accept with the spare one and close, or the caller would hang."""
        os.close(self._spare)
        with suppress(OSError):
            listener.accept()[0].close()
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

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
            self._sparing.warning("the connection of %s was ended: %.200s", caller.user, error)
        finally:
            memory.settle()
            place.settle()
            sock.close()


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


def _decode(envelope: wire.Envelope) -> Record:
    try:
        return msgspec.msgpack.decode(envelope.body, type=wire.REQUESTS[envelope.name])
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


class _Listener(socket.socket):
    """Raises: OSError."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        with ShortAddress(path) as address:
            self.bind(address)
            os.chmod(address, mode)
        self._file = identity(path)
        self.listen(256)
        self.setblocking(False)  # noqa: FBT003

    def is_at(self, path: Path) -> bool:
        """Whether it is still what its path leads to."""
        return self._file is not None and self._file == identity(path)


def _free(path: Path) -> None:
    """Make room for the socket for others: what an earlier daemon left there goes, nothing else.

    Raises: JobdError (something else lies there, somebody listens there, or it cannot be made).
    """
    where = f"[access] socket = {str(path)!r}"
    try:
        found = path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise JobdError(f"{where}: there is no directory {path.parent}") from None
        return
    except OSError as error:
        raise JobdError(f"{where}: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise JobdError(f"{where}: something else lies there; name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, ShortAddress(path) as address:
        if probe.connect_ex(address) == 0:
            raise JobdError(f"{where}: somebody listens there already; name another path")
    try:
        path.unlink()
    except OSError as error:
        raise JobdError(f"{where}: {error.strerror}") from error
