"""The packer: one thread that compresses the output of jobs that ended long enough ago.

    the daemon begins, or the time of an output has come → folder by folder: outputs as they were
    written → which of their jobs ended long enough ago → each is compressed → sleep until the next
    one's time has come, or for good where there is none

What is still to be done stands nowhere but in the names of the files: a crash, a database that was
restored or another configuration leaves nothing behind.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
from contextlib import suppress
from typing import Final

from jobd.contract.errors import JobdError
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.notifier import Notifier, Subscriber
from jobd.outputs.on_disk import DiskWorkspace
from jobd.outputs.packing import Packing, pack
from jobd.outputs.unpacked import Outputs, Unpacked
from jobd.store.reader import Reader
from jobd.system import linux
from jobd.system.clock import now_us
from jobd.system.rounds import Bell, Rounds

_OFTEN: Final = 20
"""One round serves all whose time comes within one in so many of the age."""
_LEAST_S: Final = 0.25
_MOST_S: Final = 3600.0
_RETRY_S: Final = 600.0
"""After a round that could not be finished, as on a full disk."""
_CLOSE_S: Final = 2.0
_NEVER: Final = math.inf
"""By the clock alone."""
_PASSES: Final = (errno.ENOSPC, errno.EDQUOT, *linux.SHORTAGES)
"""What says nothing of an output, and later may be otherwise."""
_NICE: Final = 10
"""It uses the processors that nobody else wants."""

log = logging.getLogger(__name__)


class Packer(Subscriber):
    """A thread of its own, which sleeps until the time of the next output has come."""

    def __init__(
        self,
        age: float,
        workspace: DiskWorkspace,
        ledger: Ledger,
        reader: Reader,
        notifier: Notifier,
    ) -> None:
        """`age`: seconds since the end of a job."""
        self._age = age
        self._workspace = workspace
        self._ledger = ledger
        self._reader = reader
        self._notifier = notifier
        self._unpacked = Unpacked(workspace.output)
        self._is_nice = False
        self._rounds = Rounds("packer", self._make, Bell())

    def start(self) -> None:
        """There may be outputs whose time came while no daemon was there."""
        self._notifier.subscribe(self)
        self._rounds.bell.ring()
        self._rounds.start()

    def close(self) -> None:
        """What is half-way is done anew by the next daemon."""
        self._rounds.close(_CLOSE_S)

    def finished(self, job: int) -> None:  # noqa: ARG002 - whichever it is
        self._rounds.bell.ring_in(self._age)

    # --- rounds -----------------------------------------------------------------------------------

    def _make(self) -> float | None:
        self._step_aside()
        try:
            return self._round()
        except (JobdError, OSError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            log.warning("output is not compressed for now: %s", said)
            return _RETRY_S

    def _step_aside(self) -> None:
        if not self._is_nice:
            self._is_nice = True
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)

    def _round(self) -> float | None:
        """All whose time has come; in how many seconds there will be more, None: in no time."""
        waits: list[float] = []
        try:
            for folder, changed, outputs in self._unpacked.folders():
                left = self._pack(outputs)
                waits += left
                if not left:
                    self._unpacked.settle(folder, changed)
                if self._rounds.closed:
                    return None
        finally:
            if not self._ledger.busy:
                self._workspace.release()
        known = [wait for wait in waits if wait < _NEVER]
        rhythm = min(_MOST_S, max(_LEAST_S, self._age / _OFTEN))
        return max(rhythm, min(known)) if known else None

    def _pack(self, outputs: Outputs) -> list[float]:
        """Compress those whose time has come; of each other one in how many seconds it comes."""
        ends = self._reader.finished_at(sorted({job for job, _ in outputs}))
        waits = []
        for job, attempt in outputs:
            # Of one that has not ended its end will tell.
            wait = (ends[job] - now_us()) / 1e6 + self._age if job in ends else _NEVER
            if wait <= 0 and not self._rounds.closed:
                wait = self._done(job, attempt)
            if wait > 0:
                waits.append(wait)
        return waits

    def _done(self, job: int, attempt: int) -> float:
        """0: nothing is left to be done. Raises: JobdError, OSError (no space or descriptor)."""
        if not self._is_kept(job, attempt):
            return _NEVER
        output = self._workspace.output_file(job, attempt)
        try:
            packing = pack(output, lambda: self._is_kept(job, attempt))
        except OSError as error:
            if error.errno in _PASSES:
                raise
            log.warning("%s stays as it is: %s", output.path, error)
            return 0.0
        return _NEVER if packing is Packing.WRITTEN_TO else 0.0

    def _is_kept(self, job: int, attempt: int) -> bool:
        """It was not removed, and the attempt was not taken back, to be made anew."""
        row = self._reader.job(job)
        return row is not None and attempt <= row.attempt
