"""Where clients come in: the sockets, made and mended, and the thread that hears who knocks, and
who of those that wait hangs up.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.rpc.clients import Clients
from jobd.daemon.rpc.dispatch import Dispatch
from jobd.daemon.rpc.listener import Listener, make_room

log = logging.getLogger(__name__)
_SCARCE_MS: Final = 100
"""Milliseconds until somebody is heard again who cannot even be turned away."""


class Server:
    """Opened and closed by the main thread; accepts in a thread of its own."""

    def __init__(
        self, own: Path, shared: Path | None, dispatch: Dispatch, clients: Clients
    ) -> None:
        """`own`: where the owner comes in; `shared`: where others do, None for nowhere."""
        self._own = own
        self._shared = shared
        self.dispatch = dispatch
        self.clients = clients
        self._spare = _open_spare()
        """Given up for a moment when there are no descriptors left to accept a client with; -1
        where another thread has taken its place meanwhile.
        """
        self._wake_r, self._wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._waking = threading.Lock()
        """Held while it is written to: once it is closed, its number may be another file's."""
        self._listeners: dict[Path, Listener] = {}
        """The owner's own, and the one for others where there is one."""
        self._open_to_others = True
        self._closed = False

    def listen(self, *, without_others: bool = False) -> None:
        """`without_others`: where the socket for others cannot be made, listen without it and leave
        it to `mend`. Whoever has taken its name meanwhile shall not end a queue that has run.

        Raises: OSError, JobdError (the socket for others cannot be made).

        The lock is ours, so a socket of ours that is there is a leftover.
        """
        if self._shared is not None and not without_others:
            make_room(self._shared)
        try:
            self._own.unlink(missing_ok=True)
            self._listeners[self._own] = self._listener(self._own)
            if self._shared is not None:
                self._listen_to_others(self._shared, without_others=without_others)
        except BaseException:
            while self._listeners:
                _, listener = self._listeners.popitem()
                listener.remove()
                listener.close()
            self._give_back()
            raise
        threading.Thread(target=self._accept_all, name="listener", daemon=True).start()

    def _listen_to_others(self, path: Path, *, without_others: bool) -> None:
        try:
            make_room(path)
            self._listeners[path] = self._listener(path)
        except (OSError, JobdError):
            if not without_others:
                raise

    @property
    def sockets(self) -> list[Path]:
        """Where clients come in: the owner first."""
        return [self._own, *([self._shared] if self._shared else [])]

    def mend(self, path: Path) -> None:
        """Where somebody has deleted a socket, or it could not be made before, listen anew; who is
        connected stays so.

        Raises: OSError, JobdError (something else lies there, or others can by now change the way
        to it).
        """
        listener = self._listeners.get(path)
        if self._closed or (path == self._shared and not self._open_to_others):
            return
        if listener is not None and listener.is_at(path):
            return
        if listener is None:
            make_room(path)
        self._listeners[path] = self._listener(path)
        self._wake()
        log.warning("the socket %s was deleted, and is made anew", path)

    def _listener(self, path: Path) -> Listener:
        # Everybody may knock at the second: who it is the kernel tells, and strangers are let go
        # unheard.
        return Listener(path, 0o600 if path == self._own else 0o666)

    def close_to_others(self) -> None:
        """From any thread: nobody comes in by the socket for others any more, and nothing more is
        answered to those who did.
        """
        self._open_to_others = False
        listeners = self._listeners
        self._listeners = {at: each for at, each in listeners.items() if at != self._shared}
        self._wake()
        if self._shared in listeners:
            listeners[self._shared].remove()
        self.clients.close_to_others()

    def close(self, *, replaced: bool = False) -> None:
        """Take no more connections; requests under way are answered.

        `replaced`: another daemon follows. Clients know by the sockets, which stay there.
        """
        self._closed = True
        self.dispatch.close()
        self.clients.close()
        self._wake()
        for listener in () if replaced else self._listeners.values():
            listener.remove()

    def _wake(self) -> None:
        with self._waking:
            if self._wake_w >= 0:
                os.write(self._wake_w, b"x")

    def _give_back(self) -> None:
        """What is held open for those who knock; nobody accepts them any more."""
        with self._waking:
            held = self._spare, self._wake_r, self._wake_w
            self._spare = self._wake_r = self._wake_w = -1
        for number in held:
            if number >= 0:
                os.close(number)
        self.clients.hang_ups.close()

    def _accept_all(self) -> None:
        while not self._closed:
            self._accept_from({each.fileno(): each for each in self._listeners.values()})
        # Also of one that was closed before this thread had begun.
        for listener in self._listeners.values():
            listener.close()
        self._give_back()

    def _accept_from(self, listeners: dict[int, Listener]) -> None:
        """Until they are others."""
        poll, hang_ups = select.poll(), self.clients.hang_ups
        for number in (*listeners, self._wake_r, hang_ups.fileno()):
            poll.register(number, select.POLLIN)
        while not self._closed:
            ready = {number for number, _ in poll.poll()}
            if self._wake_r in ready and not self._closed:
                os.read(self._wake_r, 16)
                break
            if hang_ups.fileno() in ready:
                hang_ups.tell()
            for number in ready & listeners.keys():
                self._accept(listeners[number])
            if self._spare < 0:
                self._await_descriptor()
        for listener in listeners.values():
            if self._closed or listener not in self._listeners.values():
                listener.close()

    def _accept(self, listener: Listener) -> None:
        if self._closed:
            return
        self._keep_spare()
        try:
            self._accept_one(listener)
        except Exception:
            # The error concerns one client; without this thread no client is heard any more.
            log.exception("somebody who knocked could not be heard")

    def _accept_one(self, listener: Listener) -> None:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self.clients.note_unaccepted(error)
            self._turn_one_away(listener)
            return
        self.clients.admit(sock, shared=self._is_shared(listener))

    def _turn_one_away(self, listener: Listener) -> None:
        """No descriptor left: accept with the spare one and close, or the caller would hang."""
        spare, self._spare = self._spare, -1
        if spare >= 0:
            os.close(spare)
        with suppress(OSError), listener.accept()[0] as sock:
            self.clients.turn_away(sock, shared=self._is_shared(listener))
        self._keep_spare()

    def _keep_spare(self) -> None:
        """Unless another thread was quicker to take the last descriptor; then at the next knock."""
        if self._spare < 0:
            with suppress(OSError):
                self._spare = _open_spare()

    def _await_descriptor(self) -> None:
        """Whoever could not be turned away still knocks, and would be heard without end."""
        poll = select.poll()
        poll.register(self._wake_r, select.POLLIN)
        poll.poll(_SCARCE_MS)

    def _is_shared(self, listener: Listener) -> bool:
        return listener.path != self._own


def _open_spare() -> int:
    """Raises: OSError."""
    return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
