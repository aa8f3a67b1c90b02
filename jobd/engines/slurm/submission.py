"""How an attempt comes into Slurm: by a job of its own, or into an allocation that is kept.

Either way its files are written, where it is goes to this disk, and only then may it begin: so it
starts at most once, whatever dies in between.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from jobd.contract.wording import printable
from jobd.engines.base import Away, CannotStart, Launch, NoResources
from jobd.engines.slurm import programs, script
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import SlurmCommands
from jobd.engines.slurm.names import Names
from jobd.engines.slurm.notes import Note, Notes
from jobd.engines.slurm.packs import FRESH_S, Allocation, Kind, Packs
from jobd.engines.slurm.releases import Releases
from jobd.engines.slurm.script import AttemptPaths
from jobd.engines.slurm.workspace import SharedWorkspace
from jobd.system.failpoints import failpoint

log = logging.getLogger(__name__)
_AT_ONCE: Final = 4
"""Submissions at the same time: more would only wait for one another inside of Slurm."""
_WRITING: Final = 8
"""Attempts whose files are written at the same time: a burst of them is not to use up what this
process may have open.
"""
DESCRIPTORS: Final = 3 * _WRITING + programs.DESCRIPTORS * _AT_ONCE
"""Files that all of them together keep open here: two on the way to a file, and that file."""
_SLACK_S: Final = 300.0
"""Seconds that Slurm gives beyond a time limit: it is kept here, with its grace period."""


class Submission:
    """Any thread may call."""

    def __init__(
        self,
        *,
        names: Names,
        workspace: SharedWorkspace,
        files: AttemptFiles,
        notes: Notes,
        commands: SlurmCommands,
        packs: Packs | None,
        gpu_option: str,
        leftovers: Callable[[], object],
    ) -> None:
        """`packs`: None: each has a job of its own. `gpu_option`: for sbatch, with the number of
        GPUs as `%d`. `leftovers`: called when something may be left
        in Slurm that is held, and that nobody knows.
        """
        self._names = names
        self._workspace = workspace
        self._files = files
        self._notes = notes
        self._commands = commands
        self._releases = Releases(commands)
        self._packs = packs
        self._gpu_option = gpu_option
        self._leftovers = leftovers
        self._turns = threading.Semaphore(_AT_ONCE)
        self._writing = threading.Semaphore(_WRITING)

    def bring(self, launch: Launch) -> tuple[Note, Allocation | None]:
        """It may begin, there. Raises: as `Engine.start`."""
        with self._writing:
            paths = self.written(launch)
        try:
            return self._joined(launch, awaits=True) or self._brought(launch, paths)
        except BaseException:
            self._files.delete(launch.token)
            self._notes.forget(launch.token)
            raise

    def _brought(self, launch: Launch, paths: AttemptPaths) -> tuple[Note, Allocation | None]:
        """Raises: as `Engine.start`."""
        with self._turns:
            # Somebody may have left an allocation while this one waited for its turn.
            if joined := self._joined(launch, awaits=False):
                return joined
            submitted = self._submitted(launch, paths)
        self._release(launch, *submitted)
        return submitted

    def written(self, launch: Launch) -> AttemptPaths:
        """All that its node needs is there. Raises: NoResources."""
        try:
            output = self._workspace.output_file(launch.job, launch.attempt)
            os.close(output.make(os.O_WRONLY | os.O_APPEND))
            self._workspace.progress.now(make=True)
            return self._files.write(launch, output.path)
        except OSError as error:
            self._files.delete(launch.token)
            raise NoResources(f"the shared directory: {reason_of(error)}") from error

    # --- into an allocation that is there ---------------------------------------------------------

    def _joined(self, launch: Launch, *, awaits: bool) -> tuple[Note, Allocation] | None:
        """None: there is none for it. `awaits`: one that is about to be left is waited for.

        Raises: NoResources.
        """
        if (packs := self._packs) is None:
            return None
        take = packs.awaited if awaits else packs.taken
        while allocation := take(Kind.of(launch), launch.token):
            failpoint("before-submit")
            note = Note(allocation.number, allocation.name, allocation.turn)
            try:
                with self._writing:
                    self._note(launch, note)
                    failpoint("after-note")
                    if self._handed_over(packs, allocation, launch.token):
                        return note, allocation
            except NoResources:
                packs.closes(allocation)
                raise
            packs.closes(allocation)
        return None

    def _handed_over(self, packs: Packs, allocation: Allocation, token: str) -> bool:
        """Raises: NoResources (it was not, and surely not)."""
        try:
            return packs.files.hand_over(allocation.folder, allocation.turn, token)
        except OSError as error:
            # It may have been, and only the answer is missing.
            if self._may_begin(token):
                return True
            raise NoResources(f"the shared directory: {reason_of(error)}") from error

    def _may_begin(self, token: str) -> bool:
        """Also where that is not known: then it is watched as any other."""
        try:
            return not self._files.withdraw(token)
        except FileNotFoundError:
            return False
        except OSError as error:
            log.warning("attempt %s may begin, or not: %s", token, reason_of(error))
            return True

    # --- by a job of its own ----------------------------------------------------------------------

    def _submitted(self, launch: Launch, paths: AttemptPaths) -> tuple[Note, Allocation | None]:
        """Raises: as `Engine.start`."""
        packs, token = self._packs, launch.token
        if packs is None:
            return self._noted(launch, paths, self._names.of(launch.job, token)), None
        name = self._names.of_pack(token)
        allocation = Allocation(packs, token, name, Kind.of(launch), token)
        spare = packs.opens()
        try:
            if spare is not None:
                self._commands.cancel(spare.name)
            note = self._noted(launch, self._packed(paths, packs, token), name, name)
        except BaseException:
            packs.closes(allocation)
            raise
        allocation.number = note.number
        return note, allocation

    def _noted(self, launch: Launch, paths: AttemptPaths, name: str, shared: str = "") -> Note:
        """It is in Slurm, and that is on this disk. Raises: as `Engine.start`."""
        failpoint("before-submit")
        note = Note(self._number(launch, paths, name), shared)
        failpoint("after-submit")
        try:
            self._note(launch, note)
        except NoResources:
            self._leftovers()
            with suppress(Away):
                self._commands.cancel_waiting(name)
            raise
        failpoint("after-note")
        return note

    def _packed(self, paths: AttemptPaths, packs: Packs, token: str) -> AttemptPaths:
        """It is the first in an allocation. Raises: NoResources."""
        try:
            return paths._replace(folder=packs.files.make(token, token, packs.size))
        except OSError as error:
            raise NoResources(f"the shared directory: {reason_of(error)}") from error

    def _number(self, launch: Launch, paths: AttemptPaths, name: str) -> int:
        """Raises: as `Engine.start`."""
        options = _options(launch, FRESH_S if self._packs else 0.0)
        try:
            return self._commands.submit(name, script.stub(paths), options, self._own(launch))
        except Away:
            self._leftovers()
            raise
        except CannotStart as error:
            with suppress(OSError), open(os.fsdecode(paths.output), "ab") as output:
                output.write(f"jobd: could not start: {printable(str(error))}\n".encode())
            raise

    def _own(self, launch: Launch) -> list[str]:
        """What the job itself asks for, which is stronger."""
        gpus = [self._gpu_option % launch.gpus] if launch.gpus else []
        return gpus + list(launch.options)

    def _note(self, launch: Launch, note: Note) -> None:
        """It is on this disk where it is. Raises: NoResources."""
        try:
            self._notes.write(launch.token, note)
        except OSError as error:
            raise NoResources(f"the number of a job: {reason_of(error)}") from error

    def _release(self, launch: Launch, note: Note, allocation: Allocation | None) -> None:
        """Raises: CannotStart."""
        name = note.name or self._names.of(launch.job, launch.token)
        try:
            self._releases.release(note.number)
        except Away as error:
            # It has a number, and is released as soon as Slurm can be asked again.
            log.warning("job %d waits in Slurm as job %d: %s", launch.job, note.number, error)
        except CannotStart:
            with suppress(Away):
                self._commands.cancel_waiting(name)
            self._leftovers()
            if allocation is not None:
                allocation.close()
            raise


def _options(launch: Launch, more_s: float) -> list[str]:
    """For sbatch, behind those of the configuration. `more_s`: seconds beyond its time limit."""
    found = [f"--cpus-per-task={launch.slots}"]
    if launch.time_limit is not None:
        found.append(f"--time={math.ceil((launch.time_limit + _SLACK_S + more_s) / 60)}")
    return found


def reason_of(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
