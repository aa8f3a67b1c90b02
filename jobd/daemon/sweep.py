"""What a starting daemon does beside its work: what a crash has left over is deleted, and a large
database looked through.
"""

from __future__ import annotations

import contextlib
import logging
import threading

from jobd.contract.errors import JobdError
from jobd.contract.paths import Paths
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.execution.runs import Runs
from jobd.outputs.workspace import Workspaces
from jobd.store.damage import faults_meanwhile, is_large

log = logging.getLogger(__name__)


class Sweep:
    """A thread of its own, which ends when all is done."""

    def __init__(
        self, paths: Paths, deletion: Deletion, workspaces: Workspaces, runs: Runs
    ) -> None:
        self._paths = paths
        self._deletion = deletion
        self._workspaces = workspaces
        self._runs = runs
        self._damage: str | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="sweep", daemon=True).start()

    def damage(self) -> str | None:
        """What is wrong with the database, for people; None as far as is known. Any thread asks."""
        return self._damage

    def _run(self) -> None:
        try:
            self._deletion.delete_outputs()
            self._workspaces.sweep(self._runs)
        except (JobdError, OSError) as error:
            log.warning("left-over output stays for now: %s", error)
        self.look_through()

    def look_through(self) -> None:
        """A large database that is damaged: it is told, and the daemon goes on."""
        if not is_large(self._paths.database):
            return
        with contextlib.suppress(JobdError):
            for fault in faults_meanwhile(self._paths.database)[:1]:
                self._damage = f"the database is damaged ({' '.join(fault.split())}): jobd check"
                log.critical("%s", self._damage)
