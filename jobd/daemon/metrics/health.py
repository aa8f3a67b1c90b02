"""Whether the daemon is well: looked at when somebody asks, and not otherwise."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobd.core.ledger import Ledger
from jobd.daemon.metrics.figures import WorkFigures
from jobd.store.reserve import Reserve
from jobd.store.writer import Writer

_PATIENCE_S: Final = 2.0
"""Seconds for a transaction; whoever asks waits no longer."""


class DiskSpace(Struct, frozen=True):
    """On the disk of the state directory, in bytes."""

    free: int
    size: int


class Condition(Struct, frozen=True, kw_only=True):
    """What `/healthz` tells, as JSON."""

    ready: bool
    """It takes new jobs."""
    store_writable: bool
    last_commit_age_s: float | None
    workers: int
    busy: int
    free_bytes: int | None
    error: str | None
    """What is wrong, as `jobd status` has it."""

    @property
    def is_well(self) -> bool:
        return self.ready and self.store_writable


class Health:
    """Any thread may ask."""

    def __init__(
        self,
        *,
        state: Path,
        ledger: Ledger,
        writer: Writer,
        reserve: Reserve,
        work: WorkFigures,
        error: Callable[[], str | None],
    ) -> None:
        """`error`: the worst of what is wrong, in words."""
        self._state = state
        self._ledger = ledger
        self._writer = writer
        self._reserve = reserve
        self._work = work
        self.error = error

    def look(self) -> Condition:
        """With a transaction of its own that changes nothing: waits for it two seconds at most."""
        # Before the transaction, which is the last one from then on.
        at = self._work.committed_at
        writable, space = self._is_writable(), self.disk_space()
        return Condition(
            ready=not self._ledger.draining,
            store_writable=writable,
            last_commit_age_s=None if at is None else round(max(0.0, time.time() - at), 3),
            workers=self._ledger.workers,
            busy=self._ledger.busy,
            free_bytes=None if space is None else space.free,
            error=self.error(),
        )

    @property
    def seems_writable(self) -> bool:
        """As far as is known without trying."""
        return self._writer.trouble is None and not self._reserve.in_use

    def disk_space(self) -> DiskSpace | None:
        """None: it cannot be told."""
        try:
            found = os.statvfs(self._state)
        except OSError:
            return None
        return DiskSpace(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)

    def _is_writable(self) -> bool:
        tried = threading.Event()
        self._writer.post(lambda: None, lambda _: tried.set(), lambda _: tried.set())
        return tried.wait(_PATIENCE_S) and self.seems_writable
