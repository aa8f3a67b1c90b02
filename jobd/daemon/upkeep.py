"""What a daemon stands on is kept there: somebody may delete it, such as a cleaner of /tmp.

Sockets, lock and log are made anew, the log of the database by a daemon that follows. Where all of
it is deleted nobody can reach this daemon any more, and it ends with its last job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.instance_files import InstanceFiles
from jobd.daemon.rpc.server import Server
from jobd.daemon.shutdown import Inbox, News
from jobd.daemon.supervisor_link import Link
from jobd.store.writer import Writer
from jobd.system.file_watch import FileWatch
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_MEND_S: Final = 0.5
"""Seconds until what was deleted is made anew."""
_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0
"""Seconds until what cannot be made anew is tried again: at first, and at most."""

Mend = Callable[[], object]
"""Looks whether a file is still there, and makes it anew. Raises: OSError, JobdError."""


class Upkeep:
    """Started and closed by the main thread; mends in the timer's."""

    def __init__(
        self,
        *,
        files: InstanceFiles,
        link: Link | None,
        server: Server,
        writer: Writer,
        timer: Timer,
        inbox: Inbox,
        log_moved: Callable[[], object],
    ) -> None:
        """`log_moved`: sees to the log of the daemon when somebody has moved or deleted it."""
        self._files = files
        self._link = link
        self._server = server
        self._timer = timer
        self._inbox = inbox
        self._is_homeless = False
        paths = files.paths
        mends: dict[Path, Mend] = {
            **{path: partial(server.mend, path) for path in server.sockets},
            **{
                Path(f"{paths.database}{suffix}"): self._mend_log_of_store
                for suffix in ("-wal", "-shm")
            },
            paths.lock: self._mend_lock,
            paths.log: log_moved,
        }
        self._mends = mends
        self._watch = FileWatch(
            {path: partial(self._soon, mend) for path, mend in mends.items()}
            | {paths.database: writer.nudge}
        )

    def start(self) -> None:
        """What is deleted from here on is seen, and what was before is looked for."""
        self._watch.start()
        for mend in self._mends.values():
            self._try(mend)

    def close(self) -> None:
        """From now on what goes is meant to go. Before the server, whose sockets go."""
        self._watch.close()

    def store_gone(self) -> None:
        """Nothing can be saved, for the database is not there. Moved away it may come back."""
        if self._files.anchor.is_deleted() and not self._files.home.is_there():
            self._leave_home()

    def _soon(self, mend: Mend) -> None:
        """Not while somebody deletes all of it: that would only fail to delete the directory."""
        self._timer.after(_MEND_S, lambda: self._try(mend))

    def _try(self, mend: Mend, pause: float = _RETRY_S) -> None:
        if not self._files.home.is_there():
            self._leave_home()
        elif self._files.paths.database.exists():
            try:
                mend()
            except (OSError, JobdError) as error:
                log.warning("what was deleted cannot be made anew yet: %s", error)
                again = min(2 * pause, _LONGEST_RETRY_S)
                self._timer.after(pause, lambda: self._try(mend, again))

    def _mend_lock(self) -> None:
        """Without it nobody would know that this daemon is there. Raises: OSError.

        Whoever has taken it meanwhile finds that the database is ours, and leaves.
        """
        lock = self._files.paths.lock
        if self._link is not None and self._link.mend_lock(lock):
            log.warning("the lock %s was deleted, and is made anew", lock)

    def _mend_log_of_store(self) -> None:
        """What is in the log is brought into the database, and the next daemon begins a new log."""
        if self._link is not None and not self._files.anchor.has_log():
            log.warning("the log of the database was deleted: a new daemon begins another one")
            self._inbox.put(News.RENEW)

    def _leave_home(self) -> None:
        """Nobody can reach this daemon any more."""
        if not self._is_homeless:
            self._is_homeless = True
            log.critical("%s was deleted: jobd ends with its last job", self._files.paths.state)
            self._server.close_to_others()
            self._inbox.put(News.GONE)
