"""What an instance has on disk: its directories, made and found to be ours, and its database."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any, Final

from jobd.contract.directories import Directory, Foreign
from jobd.contract.errors import JobdError, StoreGone
from jobd.contract.ownership import NotOurs, check_way, make_directory, remove_directory
from jobd.contract.state_directory import make_private
from jobd.daemon.setup import Setup
from jobd.engines import loading
from jobd.outputs.on_disk import DiskWorkspace
from jobd.store.database import Anchor, open_writer, save_log
from jobd.store.obstacles import StartConditions, refuse
from jobd.store.reader import Reader
from jobd.store.reserve import Reserve

log = logging.getLogger(__name__)


class InstanceFiles:
    """Opened and closed by the thread that starts the daemon; any thread may look.

    Promises that no other daemon has the database, and that a database which is damaged, or was
    deleted while an earlier daemon ran, is never replaced by an empty one.
    """

    def __init__(self, setup: Setup) -> None:
        """Raises: StoreGone, NotOurs, JobdError (the database cannot be used), OSError."""
        self.paths: Final = setup.paths
        self._setup = setup
        self._make_directories()
        self.home: Final = Directory(self.paths.state)
        self.home.now()
        self.workspace: Final = self._make_workspace()
        self._ran_on = loading.ran_since_boot(setup.config.engines(), self.paths)
        self.same_boot: Final = self._ran_on is not False
        """No other boot is known of: a restored database has had none here."""
        self.anchor: Final = self._take_database()
        try:
            self.connection: Final = self._open_database()
        except BaseException:
            self.anchor.close()
            raise
        self.reserve: Final = Reserve(self.paths.database, self.anchor.descriptor, self.connection)
        self.reader: Final = Reader(self.paths.database, self.anchor.check)

    def look(self) -> None:
        """Before each transaction. Raises: StoreGone (nothing can be saved)."""
        self.reserve.look(self.anchor.check())

    def close(self, *, clean: bool) -> None:
        """After the writer, and after all that reads: the log becomes a part of the one file.

        `clean`: no daemon follows that would need what an instance in memory leaves.
        """
        self.reader.close()
        if not self.anchor.has_log():
            self._save_log()
        self.reserve.close()
        # The last connection that is closed makes its log a part of the one file.
        self.connection.close()
        is_ours = self.anchor.holds()
        self.anchor.close()
        if clean and self.paths.ephemeral and is_ours:
            with contextlib.suppress(JobdError, OSError):
                self._delete_ephemeral()
        self.workspace.release()
        self.home.release()

    def _save_log(self) -> None:
        """Somebody deleted it: what is in it would go with the last of our connections."""
        try:
            save_log(self.connection)
        except JobdError as error:
            log.critical("what was confirmed last may be lost: %s", error)

    # --- directories --------------------------------------------------------------------------

    def _make_directories(self) -> None:
        paths = self.paths
        if self._setup.established and not paths.database.exists():
            raise StoreGone(f"the database {paths.database} was deleted while jobd ran")
        if paths.ephemeral and self._setup.fresh:
            self._delete_leftovers()
        for directory in (paths.state, paths.data, paths.database.parent):
            make_private(directory)

    def _make_workspace(self) -> DiskWorkspace:
        os.close(make_directory(self.paths.output))
        workspace = DiskWorkspace(self.paths)
        try:
            for place in (workspace.progress, workspace.scripts):
                place.now(make=True)
        except Foreign as error:
            raise NotOurs(f"not permitted: {error.strerror}") from error
        return workspace

    def _delete_leftovers(self) -> None:
        """What another daemon in memory, that was killed, has left.

        Raises: NotOurs (somebody else has put something in its place), StoreFailed, OSError.
        """
        paths = self.paths
        try:
            for directory in (paths.data, paths.memory):
                check_way(directory)  # before anything in it is opened
            if paths.database.exists():
                Anchor(paths.database).close()  # refused where another daemon has it
            self._delete_ephemeral()
        except NotOurs as error:
            raise NotOurs(
                f"{error.message}; start without --ephemeral, or name another JOBD_HOME"
            ) from error

    def _delete_ephemeral(self) -> None:
        """Raises: NotOurs, OSError."""
        for directory in {self.paths.data, self.paths.memory}:
            remove_directory(directory)

    # --- database -----------------------------------------------------------------------------

    def _take_database(self) -> Anchor:
        """Ours alone, before anybody looks into it; made only where none should be."""
        if not self.paths.database.exists():
            self._refuse()
            return Anchor(self.paths.database)
        anchor = Anchor(self.paths.database)
        try:
            self._refuse()
        except JobdError:
            anchor.close()
            raise
        return anchor

    def _open_database(self) -> Any:  # noqa: ANN401 - a connection of the store's own
        connection = open_writer(self.paths.database, durable=not self.paths.ephemeral)
        self.anchor.opened()
        return connection

    def _refuse(self) -> None:
        refuse(
            StartConditions(
                paths=self.paths,
                same_boot=self._ran_on is True,
                is_private=self._setup.config.daemon.state_is_private,
            )
        )
