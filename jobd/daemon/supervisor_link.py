"""The daemon's end of the socket to its supervisor: who ended, who may be reaped, is it there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobd.engines.supervisor import Ended
from jobd.system import linux
from jobd.system.linux import Exit

log = logging.getLogger(__name__)


class Link:
    """For engines as `jobd.engines.supervisor.Supervisor`; the rest is the daemon's own."""

    def __init__(
        self,
        sock: socket.socket,
        orphaned: Callable[[], object],
        lock: int = -1,
        last_daemon: tuple[int, int] | None = None,
    ) -> None:
        """`lock`: the descriptor of the open, locked file that the supervisor holds, too."""
        self._socket = sock
        self._held = lock
        self.last_daemon = last_daemon
        """The pid of the daemon before, and the tick (`linux.ticks`) at which it was dead."""
        self._orphaned = orphaned
        self._lock = threading.Condition()
        self._ended: dict[int, Ended] = {}
        self._adopted: set[int] | None = None
        self._gone: dict[str, int] = {}
        self._is_cut = False
        self.synced = threading.Event()
        """Set once all that ended before this daemon began has been announced."""

    def start(self) -> None:
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    def settle(self, adopted: set[int]) -> None:
        """These belong to attempts; everybody else who ended, or will end, may be reaped."""
        with self._lock:
            self._adopted = adopted
            strangers = [pid for pid in self._ended if pid not in adopted]
        for pid in strangers:
            self.reap(pid)

    def wait(self, pid: int) -> Ended:
        with self._lock:
            self._lock.wait_for(lambda: pid in self._ended)
            return self._ended[pid]

    def hold(self, token: str, pidfd: int) -> None:
        """A handle of a job that is nobody's child, for us and whoever comes after us."""
        with contextlib.suppress(OSError):  # it is there no more, or cannot take it: we go without
            socket.send_fds(self._socket, [json.dumps({"hold": token}).encode()], [pidfd])

    def gone_at(self, token: str, within: float) -> int | None:
        """When the supervisor saw the end of a job that it has but a handle of, microseconds since
        boot; None: it has not said so within so many seconds.
        """
        with self._lock:
            self._lock.wait_for(lambda: token in self._gone or self._is_cut, within)
            return self._gone.get(token)

    def let_go(self, token: str) -> None:
        """The end of such a job is on disk: nobody needs the handle any more."""
        with self._lock:
            self._gone.pop(token, None)
        self._say({"let_go": token})

    def reap(self, pid: int) -> None:
        with self._lock:
            self._ended.pop(pid, None)
            if self._adopted is not None:
                self._adopted.discard(pid)
        self._say({"reap": pid})

    def ready(self) -> None:
        self._say({"ready": True})

    def draining(self, until: int | None) -> None:
        """The daemon that follows, should this one die or be replaced, goes on draining.

        `until`: when it ends what still runs, microseconds since boot.
        """
        self._say({"draining": True, "until": until})

    def unsaved(self, ends: Mapping[str, int]) -> None:
        """Ends that were seen and are not on disk, as `Setup.unsaved`, for the daemon to come."""
        self._say({"unsaved": dict(ends)})

    def is_cut(self) -> bool:
        """Whether the supervisor is there no more, as it is at this moment."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    def failed(self, message: str) -> None:
        self._say({"failed": message})

    def log_moved(self, path: str) -> None:
        """What the supervisor says belongs into the log that lies there now."""
        self._say({"log": path})

    def mend_lock(self, path: Path) -> bool:
        """Where the file of the lock was deleted, make another, hold it, and let the supervisor.

        False: it lies where it did. Raises: OSError (BlockingIOError: somebody else holds it).
        """
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._held), os.stat(path)):
                return False
        made = linux.open_lock(path)
        try:
            fcntl.flock(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.dup2(made, self._held, inheritable=False)
            socket.send_fds(self._socket, [json.dumps({"lock": True}).encode()], [made])
        finally:
            os.close(made)
        return True

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode())
        except OSError:
            log.warning("the supervisor does not listen")

    def _listen(self) -> None:
        while data := self._receive():
            message = json.loads(data)
            if "ended" in message:
                self._note(Exit(**message["ended"]), message.get("at"))
            elif "gone" in message:
                self._note_gone(message["gone"], message["at"])
            elif "synced" in message:
                self.synced.set()
        with self._lock:
            self._is_cut = True
            self._lock.notify_all()
        self._orphaned()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""

    def _note(self, ended: Exit, at: int | None) -> None:
        with self._lock:
            self._ended[ended.pid] = Ended(ended, at)
            stranger = self._adopted is not None and ended.pid not in self._adopted
            self._lock.notify_all()
        if stranger:
            self.reap(ended.pid)

    def _note_gone(self, token: str, at: int) -> None:
        with self._lock:
            self._gone[token] = at
            self._lock.notify_all()
