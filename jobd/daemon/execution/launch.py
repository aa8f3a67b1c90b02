"""What an attempt is started with: its command, environment, directory, output and script."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from jobd.contract.directories import File, Foreign
from jobd.contract.paths import Paths
from jobd.core.gpus import Devices
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.runs import Run, Runs
from jobd.engines.base import Launch, NoResources, Script
from jobd.outputs.workspace import Workspace
from jobd.store.reader import Reader

_ENVIRONMENTS: Final = 16
"""How many environments are kept unpacked."""


class Launcher:
    """Called by workers' threads: it only looks, but for `delete_scripts`."""

    def __init__(
        self,
        paths: Paths,
        workspace: Workspace,
        reader: Reader,
        monitor: Monitor,
        devices: Devices,
        *,
        shell: str,
    ) -> None:
        """`shell`: the absolute path of what runs shell lines."""
        self._paths = paths
        self._workspace = workspace
        self._reader = reader
        self._monitor = monitor
        self._devices = devices
        self._shell = os.fsencode(shell)
        self._environments: dict[int, dict[bytes, bytes]] = {}

    def launch_of(self, run: Run) -> Launch:
        """Raises: JobdError (the environment cannot be read just now), NoResources (where it would
        report its progress is not ours).
        """
        self._refuse_foreign()
        spec = run.spec
        shell = spec.interpreter or self._shell
        argv = [shell, b"-c", spec.argv[0]] if spec.shell else spec.argv
        return Launch(
            job=run.id,
            attempt=run.attempt,
            slot=run.slot,
            token=run.started.token,
            argv=argv,
            cwd=spec.cwd,
            umask=spec.umask,
            environment=self._job_environment(run),
            output=self._workspace.output_of(run.id, run.attempt),
            nice=spec.nice,
            stdin=spec.stdin,
            script=Script(self.script_of(run), spec.script) if spec.packed_script else None,
        )

    def script_of(self, run: Run) -> File:
        """Where its script lies while it runs."""
        return self._workspace.script_of(run.id, run.spec.argv[0])

    def delete_scripts(self, runs: Runs) -> None:
        """What no running job needs: a daemon was killed between an end and its tidying up.

        Raises: OSError.
        """
        scripts = self._workspace.scripts
        for name in scripts.names():
            job = name.partition(".")[0]
            if job.isdecimal() and int(job) not in runs:
                with suppress(FileNotFoundError):
                    scripts.file(name).unlink()

    def _refuse_foreign(self) -> None:
        """A job opens its `JOBD_PROGRESS` by the path: it would write through a stranger's link."""
        try:
            self._workspace.progress.now(make=True)
        except Foreign as error:
            raise NoResources(f"progress: {error.strerror}") from error
        except OSError:
            return  # it cannot report, that is all

    def _job_environment(self, run: Run) -> dict[bytes, bytes]:
        started = run.started
        environment = self._environment(started.environment).copy()
        environment.setdefault(b"PYTHONUNBUFFERED", b"1")
        environment[b"PWD"] = run.spec.cwd
        environment[b"JOBD_JOB_ID"] = b"%d" % run.id
        environment[b"JOBD_ATTEMPT"] = b"%d" % run.attempt
        environment[b"JOBD_GROUP"] = run.entry.group.encode()
        environment[b"JOBD_SLOT"] = b"%d" % run.slot
        environment[b"JOBD_PROGRESS"] = os.fsencode(self._monitor.file_of(run).path)
        environment[b"JOBD_RUN"] = started.token.encode()
        environment[b"JOBD_SOCKET"] = os.fsencode(self._paths.socket)
        if started.array_index is not None:
            environment[b"JOBD_ARRAY_INDEX"] = b"%d" % started.array_index
        if self._devices.managed:
            environment[b"CUDA_VISIBLE_DEVICES"] = ",".join(map(str, run.gpus)).encode()
        return environment

    def _environment(self, number: int) -> dict[bytes, bytes]:
        found = self._environments.get(number)
        if found is None:
            found = self._reader.environment(number)
            if len(self._environments) >= _ENVIRONMENTS:
                self._environments.clear()
            self._environments[number] = found
        return found
