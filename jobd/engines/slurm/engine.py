"""The engine of a Slurm cluster."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
from jobd.engines.slurm import script, settings
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import Commands, Seen
from jobd.engines.slurm.ends import Ends
from jobd.engines.slurm.notes import Notes, instance_of
from jobd.engines.slurm.process import SlurmProcess
from jobd.engines.slurm.script import Place
from jobd.engines.slurm.sights import sights
from jobd.engines.slurm.watcher import Watcher
from jobd.engines.slurm.workspace import SharedWorkspace
from jobd.outputs.workspace import Output
from jobd.system.failpoints import failpoint

log = logging.getLogger(__name__)
_AT_ONCE: Final = 4
"""Submissions at the same time: more would only wait for one another inside of Slurm."""
_ENDING: Final = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT,
                            signal.SIGTERM, signal.SIGKILL})  # fmt: skip
"""Signals by which a job that has not begun yet is not to begin any more."""
_SLACK_S: Final = 300.0
"""Seconds that Slurm gives beyond a time limit: it is kept here, with its grace period."""


class SlurmEngine:
    """Submits jobs, from any thread, and finds those that earlier daemons submitted.

    Promises that an attempt starts at most once: it is submitted held, its number is on this disk
    before it is released, and its script runs once on whatever node.
    """

    lets_go_at_once = False
    host = ""

    @staticmethod
    def check(section: Mapping[str, Any]) -> None:
        settings.read(section)

    @staticmethod
    def look(section: Mapping[str, Any], paths: Paths) -> Sequence[Sight]:
        return list(sights(settings.read(section), paths.data))

    def __init__(self, context: Context) -> None:
        found = settings.read(context.settings)
        self.capacity = found.max_jobs
        self._allowed = found.job_options
        self._instance = instance_of(context.paths.data)
        shared = settings.shared_folder(found, context.paths.data, self._instance)
        self.workspace = SharedWorkspace(shared)
        self._notes = Notes(context.paths.data)
        self._files = AttemptFiles(str(shared))
        self._commands = Commands(found.programs, found.options)
        self._outputs: dict[str, tuple[int, int]] = {}
        ends = Ends(self._commands, self._files, self._output_of)
        self._watcher = Watcher(
            self._commands, self._files, self._token_in, ends, found.poll_s, context.back
        )
        self._turns = threading.Semaphore(_AT_ONCE)
        self._stopped = False
        self._watcher.start()

    # --- starting ---------------------------------------------------------------------------------

    def start(self, launch: Launch) -> Process:
        with self._watcher.starting(launch.token), self._turns:
            if self._stopped:
                raise NoResources("the daemon is being closed")
            self.check_options(launch.options)
            number = self._submitted(launch)
            process = self._process(launch.token, number, launch.job, launch.attempt)
            self._release(launch, number)
            self._watcher.add(process)
        failpoint("after-release")
        return process

    def check_options(self, options: Sequence[str]) -> None:
        for option in options:
            if why := settings.refused_of_job(option, self._allowed):
                raise CannotStart(f"{option}: it {why}")

    def _release(self, launch: Launch, number: int) -> None:
        """Raises: CannotStart."""
        try:
            self._commands.release(self._name(launch.job, launch.token))
        except Away as error:
            # It has a number, and is released as soon as Slurm can be asked again.
            log.warning("job %d waits in Slurm as job %d: %s", launch.job, number, error)
        except CannotStart:
            with suppress(Away):
                self._commands.cancel_waiting(self._name(launch.job, launch.token))
            self._forget(launch.token)
            self._watcher.expect_leftovers()
            raise

    def _submitted(self, launch: Launch) -> int:
        """It is in Slurm, held, and that is on this disk. Raises: as `Engine.start`."""
        try:
            place = self._written(launch)
            failpoint("before-submit")
            number = self._number(launch, place)
        except BaseException:
            self._files.delete(launch.token)
            raise
        failpoint("after-submit")
        try:
            self._notes.write(launch.token, number)
        except OSError as error:
            self._watcher.expect_leftovers()
            with suppress(Away):
                self._commands.cancel_waiting(self._name(launch.job, launch.token))
            raise NoResources(f"the number of a job: {_reason(error)}") from error
        failpoint("after-note")
        return number

    def _written(self, launch: Launch) -> Place:
        """All that its node needs is there. Raises: NoResources."""
        try:
            output = self.workspace.output_file(launch.job, launch.attempt)
            os.close(output.make(os.O_WRONLY | os.O_APPEND))
            self.workspace.progress.now(make=True)
            return self._files.write(launch, output.path)
        except OSError as error:
            raise NoResources(f"the shared directory: {_reason(error)}") from error

    def _number(self, launch: Launch, place: Place) -> int:
        """Raises: as `Engine.start`."""
        try:
            name = self._name(launch.job, launch.token)
            return self._commands.submit(name, script.stub(place), _options(launch), launch.options)
        except Away:
            self._watcher.expect_leftovers()
            raise
        except CannotStart as error:
            with suppress(OSError), open(os.fsdecode(place.output), "ab") as output:
                output.write(f"jobd: could not start: {error}\n".encode())
            raise

    # --- the rest of what an engine does ----------------------------------------------------------

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        for process, number in orders:
            assert isinstance(process, SlurmProcess)
            if number and not process.is_over:
                self._signal(process, number)

    def _signal(self, process: SlurmProcess, number: int) -> None:
        if number in _ENDING:
            process.sent = number
            self._commands.cancel_waiting(process.name)
        if not process.owes(number, begun=self._begun(process.token)):
            self._commands.signal(process.name, number)

    def usage(self, processes: Sequence[Process]) -> Sequence[Usage]:
        ours = [process for process in processes if isinstance(process, SlurmProcess)]
        found = self._commands.usage([one.number for one in ours if not one.is_over])
        return [found.get(one.number, Usage()) for one in ours]

    def recover(self, attempts: Sequence[Attempt]) -> dict[str, Process | Fate]:
        try:
            noted = self._notes.all()
            kept = self._files.tokens()
        except OSError as error:
            raise Away(f"the shared directory: {_reason(error)}") from error
        if not (attempts or noted or kept):
            return {}
        listing = self._commands.listing()
        ours = {token: seen for seen in listing if (token := self._token_in(seen.name))}
        # Until all of them are watched nobody is to take one for a leftover.
        with self._watcher.starting(*(one.token for one in attempts)):
            found = {one.token: self._found(one, noted, ours) for one in attempts}
        for token in {*noted, *kept} - found.keys():
            # Its end was recorded, and the daemon died before it let go.
            self._forget(token)
        self._watcher.expect_leftovers()
        return found

    def _found(
        self, attempt: Attempt, noted: Mapping[str, int], ours: Mapping[str, Seen]
    ) -> Process | Fate:
        """What was submitted and is not noted is held, and is cancelled by whoever watches."""
        token = attempt.token
        number, seen = noted.get(token), ours.get(token)
        if number is None and seen is not None and self._begun(token):
            number = seen.number  # somebody else has released it
        if number is None:
            if self._begun(token):
                return Fate.LOST
            self._files.delete(token)
            return Fate.NEVER_STARTED
        process = self._process(token, number, attempt.job, attempt.attempt)
        if seen is not None:
            process.seen(seen)
        self._watcher.add(process)
        return process

    def _begun(self, token: str) -> bool:
        """Raises: Away."""
        try:
            return self._files.has_begun(token)
        except OSError as error:
            raise Away(f"the shared directory: {_reason(error)}") from error

    def freeze(self) -> None:
        self._stopped = True

    def heritage(self) -> Heritage:
        """All that counts is on the disk."""
        return Heritage()

    def close(self) -> None:
        self._stopped = True
        self._watcher.close()
        self.workspace.close()
        self._notes.release()
        self._files.release()

    # --- names ------------------------------------------------------------------------------------

    def _process(self, token: str, number: int, job: int, attempt: int) -> SlurmProcess:
        self._outputs[token] = (job, attempt)
        name = self._name(job, token)
        return SlurmProcess(token, name, number, self._commands, lambda: self._forget(token))

    def _forget(self, token: str) -> None:
        self._outputs.pop(token, None)
        self._files.delete(token)
        self._notes.forget(token)

    def _output_of(self, token: str) -> Output:
        return self.workspace.output_of(*self._outputs[token])

    def _name(self, job: int, token: str) -> str:
        return f"jobd-{job}-{self._instance}-{token}"

    def _token_in(self, name: str) -> str | None:
        """None: it is no job of this instance."""
        head, _, token = name.rpartition("-")
        return token if head.startswith("jobd-") and head.endswith(f"-{self._instance}") else None


def _options(launch: Launch) -> list[str]:
    """For sbatch, behind those of the configuration, and before what the job itself says."""
    found = [f"--cpus-per-task={launch.slots}"]
    if launch.gpus:
        found.append(f"--gres=gpu:{launch.gpus}")
    if launch.time_limit is not None:
        found.append(f"--time={math.ceil((launch.time_limit + _SLACK_S) / 60)}")
    return found


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
