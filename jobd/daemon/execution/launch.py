"""What an attempt is started with: its command, environment, directory and script."""

from __future__ import annotations

import os
from typing import Final

from jobd.contract.paths import Paths
from jobd.core.gpus import Devices
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.run import Run
from jobd.engines.base import CannotStart, Launch
from jobd.store.reader import Reader

_ENVIRONMENTS: Final = 16
"""How many environments are kept unpacked."""


class Launcher:
    """Called by workers' threads; it only looks."""

    def __init__(
        self,
        paths: Paths,
        engines: Engines,
        reader: Reader,
        devices: Devices,
        *,
        shell: str,
    ) -> None:
        """`shell`: the absolute path of what runs shell lines."""
        self._socket = os.fsencode(paths.socket)
        self._engines = engines
        self._reader = reader
        self._devices = devices
        self._shell = os.fsencode(shell)
        self._environments: dict[int, dict[bytes, bytes]] = {}

    def launch_of(self, run: Run) -> Launch:
        """Raises: CannotStart (its environment is damaged), StoreFailed (it cannot be read now)."""
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
            nice=spec.nice,
            stdin=spec.stdin,
            script=spec.script if spec.packed_script else None,
            group=run.entry.group,
            slots=run.entry.slots,
            gpus=run.entry.gpus,
            options=spec.engine_options,
            time_limit=run.policy.time_limit,
        )

    def _job_environment(self, run: Run) -> dict[bytes, bytes]:
        started, workspace = run.started, self._engines[run.engine].workspace
        report = workspace.report_path(run.id, run.attempt)
        environment = self._environment(started.environment).copy()
        environment.setdefault(b"PYTHONUNBUFFERED", b"1")
        environment[b"PWD"] = run.spec.cwd
        environment[b"JOBD_JOB_ID"] = b"%d" % run.id
        environment[b"JOBD_ATTEMPT"] = b"%d" % run.attempt
        environment[b"JOBD_GROUP"] = run.entry.group.encode()
        environment[b"JOBD_SLOT"] = b"%d" % run.slot
        environment[b"JOBD_PROGRESS"] = os.fsencode(report)
        environment[b"JOBD_RUN"] = started.token.encode()
        environment[b"JOBD_SOCKET"] = self._socket
        if started.array_index is not None:
            environment[b"JOBD_ARRAY_INDEX"] = b"%d" % started.array_index
        if self._devices.managed:
            environment[b"CUDA_VISIBLE_DEVICES"] = ",".join(map(str, run.gpus)).encode()
        return environment

    def _environment(self, number: int) -> dict[bytes, bytes]:
        found = self._environments.get(number)
        if found is None:
            found = self._reader.environment(number)
            if found is None:
                raise CannotStart("its environment is damaged")
            if len(self._environments) >= _ENVIRONMENTS:
                self._environments.clear()
            self._environments[number] = found
        return found
