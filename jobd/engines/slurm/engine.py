"""The engine of a Slurm cluster."""

from __future__ import annotations

import signal
import time
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from jobd.contract.paths import Paths
from jobd.core.usage import Usage
from jobd.engines.base import (
    Attempt,
    Away,
    CannotStart,
    Context,
    Fate,
    Heritage,
    Launch,
    NoResources,
    Process,
    Sight,
)
from jobd.engines.slurm import programs, settings, submission
from jobd.engines.slurm.age import Age, monotonic_of
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import SlurmCommands, SlurmJob
from jobd.engines.slurm.ends import Ends
from jobd.engines.slurm.names import Names
from jobd.engines.slurm.notes import Note, Notes, instance_of, known_instance
from jobd.engines.slurm.packs import Allocation, PackFiles, Packs
from jobd.engines.slurm.process import SlurmProcess, Where
from jobd.engines.slurm.shared import Shared
from jobd.engines.slurm.sights import sights
from jobd.engines.slurm.submission import Submission, reason_of
from jobd.engines.slurm.verdict import is_open
from jobd.engines.slurm.watcher import Watcher
from jobd.engines.slurm.workspace import SharedWorkspace, outputs_in
from jobd.system.failpoints import failpoint

_ENDING: Final = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT,
                            signal.SIGTERM, signal.SIGKILL})  # fmt: skip
"""Signals by which a job that has not begun yet is not to begin any more."""

_DIRECTORIES: Final = 8
"""Those of its own that it holds open while attempts run, and some of their output."""
_OTHERS: Final = 4
"""Who else asks Slurm something at a time: the watcher, and whoever signals, looks or reaps."""


class SlurmEngine:
    """Submits jobs, from any thread, and finds those that earlier daemons submitted.

    Promises that an attempt starts at most once: it is submitted held, its number is on this disk
    before it is released, and its script runs once on whatever node.
    """

    lets_go_at_once = False
    host = ""
    descriptors = submission.DESCRIPTORS + _DIRECTORIES + programs.DESCRIPTORS * _OTHERS

    @staticmethod
    def check(section: Mapping[str, Any]) -> None:
        settings.read(section)

    @staticmethod
    def look(section: Mapping[str, Any], paths: Paths) -> Sequence[Sight]:
        return list(sights(settings.read(section), paths.data))

    @staticmethod
    def outputs(section: Mapping[str, Any] | None, paths: Paths) -> Path | None:
        """In the shared directory, once a daemon has had this engine here."""
        instance = None if section is None else known_instance(paths.data)
        if section is None or instance is None:
            return None
        return outputs_in(settings.shared_folder(settings.read(section), paths.data, instance))

    def __init__(self, context: Context) -> None:
        found = settings.read(context.settings)
        self.capacity = found.max_jobs
        self._allowed = found.job_options
        instance = instance_of(context.paths.data)
        shared = settings.shared_folder(found, context.paths.data, instance)
        self.workspace = SharedWorkspace(shared)
        self._names = Names(instance)
        self._notes = Notes(context.paths.data)
        self._files = AttemptFiles(str(shared))
        self._packs = Packs(found.pack, found.max_jobs, PackFiles(str(shared), self._files))
        self._commands = SlurmCommands(found.programs, found.options)
        ends = Ends(self._commands, self._files)
        self._watcher = Watcher(
            self._commands, self._files, self._names, ends, found.poll_s, context.back
        )
        self._submission = Submission(
            names=self._names, workspace=self.workspace, files=self._files, notes=self._notes,
            commands=self._commands, packs=self._packs if found.pack > 1 else None,
            gpu_option=found.gpu_option,
            leftovers=self._watcher.expect_leftovers,
        )  # fmt: skip
        self._shared = Shared(self._commands, str(shared), instance, found.poll_s, context.back)
        self._stopped = False
        self._watcher.start()

    # --- starting ---------------------------------------------------------------------------------

    def start(self, launch: Launch) -> Process:
        with self._watcher.starting(launch.token):
            if self._stopped:
                raise NoResources("the daemon is being closed")
            self._shared.require()
            self.check_options(launch.options)
            age = Age(time.monotonic())
            note, allocation = self._submission.bring(launch)
            process = self._process(launch.token, note, launch.job, launch.attempt, allocation, age)
            self._watcher.add(process)
        failpoint("after-release")
        return process

    def check_options(self, options: Sequence[str]) -> None:
        for option in options:
            if why := settings.refused_of_job(option, self._allowed):
                raise CannotStart(f"{option}: it {why}")

    # --- the rest of what an engine does ----------------------------------------------------------

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        for process, number in orders:
            assert isinstance(process, SlurmProcess)
            if number and not process.is_over:
                self._signal(process, number)
                self._watcher.hurry()

    def _signal(self, process: SlurmProcess, number: int) -> None:
        if process.allocation is not None and not process.allocation.may_signal(process.token):
            return  # it is over, and somebody else may be there
        if number in _ENDING:
            process.sent, process.sent_at = number, time.monotonic()
            self._watcher.hurry()
            self._commands.cancel_waiting(process.name)
        if not process.owed.takes(number, begun=self._begun(process.token)):
            self._commands.signal(process.name, number)

    def usage(self, processes: Sequence[Process]) -> Sequence[Usage]:
        ours = [process for process in processes if isinstance(process, SlurmProcess)]
        found = self._commands.usage([one.number for one in ours if one.counts_alone])
        return [found.get(one.number, Usage()) if one.counts_alone else Usage() for one in ours]

    def recover(self, attempts: Sequence[Attempt]) -> dict[str, Process | Fate]:
        try:
            noted = self._notes.all()
            kept = self._files.names()
        except OSError as error:
            raise Away(f"the shared directory: {reason_of(error)}") from error
        if not attempts:
            # What runs proves that there is a shared directory, and is taken over without a delay.
            self._shared.require()
        if not (attempts or noted or kept):
            return {}
        asked = time.monotonic()
        listed = {seen.name: seen for seen in self._commands.listing()}
        # Until all of them are watched nobody is to take one for a leftover.
        with self._watcher.starting(*(one.token for one in attempts)):
            found = {one.token: self._found(one, noted, listed, asked) for one in attempts}
        # Their ends were recorded, and the daemon died before it let go.
        over = {*noted, *kept} - found.keys()
        self._give_up(over, listed)
        for token in over:
            self._forget(token)
        self._packs.forget_others()
        self._watcher.expect_leftovers()
        return found

    def _give_up(self, over: Container[str], listed: Mapping[str, SlurmJob]) -> None:
        """Slurm may not know that these have ended. Raises: Away."""
        for name, seen in listed.items():
            is_its_own = not self._names.is_of_pack(name)
            if is_its_own and is_open(seen) and self._names.token_in(name) in over:
                self._commands.cancel(name)

    def _found(
        self, attempt: Attempt, noted: Mapping[str, Note], listed: Mapping[str, SlurmJob],
        asked: float,
    ) -> Process | Fate:  # fmt: skip
        """What was submitted and is not noted is held, and is cancelled by whoever watches."""
        token = attempt.token
        note = noted.get(token)
        if note is None:
            note = self._released_by_others(attempt, listed)
        if (note is None or note.turn > 1) and self._withdrawn(token):
            self._forget(token)
            return Fate.NEVER_STARTED
        if note is None:
            # A node was faster: it has begun since we have looked.
            note = self._released_by_others(attempt, listed)
        if note is None:
            return Fate.LOST
        folder = self._names.token_in(note.name)
        allocation = None if folder is None else self._packs.found(folder, note, token)
        age = Age() if note.written is None else Age(monotonic_of(note.written))
        process = self._process(token, note, attempt.job, attempt.attempt, allocation, age)
        if (seen := listed.get(process.name)) is not None:
            process.seen(seen, asked)
        if allocation is not None and (at := self._begun_at(token)) is not None:
            process.began(at)
        self._watcher.add(process)
        return process

    def _released_by_others(self, attempt: Attempt, listed: Mapping[str, SlurmJob]) -> Note | None:
        """Where it is that has begun without a note. Raises: Away."""
        token = attempt.token
        alone, shared = self._names.of(attempt.job, token), self._names.of_pack(token)
        for name, note_name in ((alone, ""), (shared, shared)):
            if name in listed and self._begun(token):
                return Note(listed[name].number, note_name)
        return None

    def _withdrawn(self, token: str) -> bool:
        """Whether it had not begun, and does not any more. Raises: Away."""
        try:
            return self._files.withdraw(token)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise Away(f"the shared directory: {reason_of(error)}") from error

    def _begun(self, token: str) -> bool:
        """Raises: Away."""
        return self._begun_at(token) is not None

    def _begun_at(self, token: str) -> float | None:
        """Raises: Away."""
        try:
            return self._files.begun_at(token)
        except OSError as error:
            raise Away(f"the shared directory: {reason_of(error)}") from error

    def freeze(self) -> None:
        self._stopped = True

    def heritage(self) -> Heritage:
        """All that counts is on the disk."""
        return Heritage()

    def close(self) -> None:
        self._stopped = True
        self._watcher.close()
        self._shared.close()
        self.workspace.close()
        self._notes.release()
        self._files.release()
        self._packs.files.release()

    # --- names ------------------------------------------------------------------------------------

    def _process(
        self, token: str, note: Note, job: int, attempt: int, allocation: Allocation | None,
        age: Age,
    ) -> SlurmProcess:  # fmt: skip
        return SlurmProcess(
            Where(token, note.name or self._names.of(job, token), note.number, note.turn),
            output=partial(self.workspace.output_of, job, attempt), commands=self._commands,
            reap=lambda: self._forget(token), age=age, allocation=allocation,
        )  # fmt: skip

    def _forget(self, token: str) -> None:
        self._files.delete(token)
        self._notes.forget(token)
