"""`status`: the daemon itself, what it is doing and what is wrong with it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path

from jobd.contract.call import Call
from jobd.contract.config import Config
from jobd.contract.models import DaemonStatus, Gpu, Status
from jobd.contract.paths import Paths
from jobd.contract.version import VERSION
from jobd.core.ledger import Ledger
from jobd.daemon.queries.redaction import status_for_viewers
from jobd.daemon.queries.views import path_text
from jobd.outputs.usage import Usage
from jobd.store.delivery_reader import FAILING_US, DeliveryReader
from jobd.system.clock import now_us


class StatusQuery:
    """Clients' threads call. Numbers of the ledger are those of this moment."""

    def __init__(
        self,
        *,
        config: Config,
        paths: Paths,
        ledger: Ledger,
        supervised: bool,
        trouble: Callable[[], str | None],
        found: DeliveryReader,
        gpus: Callable[[], list[Gpu] | None],
        outputs: Collection[Path],
    ) -> None:
        """`supervised`: by our parent. `outputs`: the directories in which they lie. `gpus`: what
        those of the machine do, as far as anybody knows; that may take seconds.

        `trouble`: the worst of what is wrong, in words, and None while all is well; any thread
        asks for it.
        """
        self._config = config
        self._paths = paths
        self._ledger = ledger
        self._started = time.monotonic()
        self._supervised = supervised
        self._trouble = trouble
        self._found = found
        self._gpus = gpus
        self._usage = Usage(outputs)

    def status(self, request: Status, _: Call) -> DaemonStatus:
        paths, ledger, shared = self._paths, self._ledger, self._config.access.socket_path
        failing, why = self.failing()
        return DaemonStatus(
            running=True,
            pid=os.getpid(),
            supervisor_pid=os.getppid() if self._supervised else None,
            version=VERSION,
            uptime_s=round(time.monotonic() - self._started, 3),
            engine=self._config.daemon.engine,
            workers=ledger.workers,
            busy=ledger.busy,
            gpus=ledger.gpus,
            gpus_busy=ledger.devices.used,
            gpu_load=self._gpus() if request.gpus else None,
            draining=ledger.draining,
            ephemeral=paths.ephemeral,
            jobs=dict(ledger.counts),
            socket=path_text(paths.socket),
            access_socket=None if shared is None else path_text(shared),
            database=path_text(paths.database),
            log=path_text(paths.log),
            state_dir=path_text(paths.state),
            database_bytes=_database_bytes(paths.database),
            output_bytes=self._usage.measured() if request.sizes else None,
            error=self._trouble(),
            notifications_failing=failing,
            notifications_error=why,
        )

    def status_for_viewers(self, request: Status, call: Call) -> DaemonStatus:
        return status_for_viewers(self.status(request, call))

    def failing(self) -> tuple[int, str | None]:
        """How many messages were tried in vain, and will be again or were given up within a day;
        and why the last of them. Raises: StoreFailed.
        """
        return self._found.failing(now_us() - FAILING_US)


def _database_bytes(database: Path) -> int:
    """With its log and its index; which of them are there changes all the time."""
    total = 0
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            total += Path(f"{database}{suffix}").stat().st_size
    return total
