"""What is done for an attempt around the record of its end.

[its output is brought to the disk] → the record → the kernel may forget it, and its workspace is
tidied → its output is brought to the disk, with those of all that end within the next seconds
"""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from jobd.contract.config import SyncOutput
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.run import Run
from jobd.system import linux
from jobd.system.failpoints import failpoint

log = logging.getLogger(__name__)
_GATHER_S: Final = 2.0
"""Seconds after the first end in which others come to be synced with it."""
_Ended = tuple[str, int, int]
"""Engine, job and attempt."""


class Aftercare:
    """Runs' workers `prepare`, the writer's thread lets go; what may take long, others do."""

    def __init__(self, engines: Engines, sync: SyncOutput) -> None:
        self._engines = engines
        self._sync = sync
        self._slow = {
            name: ThreadPoolExecutor(1, thread_name_prefix=f"let go {name}")
            for name in engines
            if not engines[name].lets_go_at_once
        }
        """For engines that may take their time to let go; the writer has none."""
        self._unsynced: queue.SimpleQueue[_Ended | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._sync is SyncOutput.SOON:
            self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Outputs of what has ended are brought to the disk; for the rest nobody waits."""
        for pool in self._slow.values():
            pool.shutdown(wait=False)
        self._closing.set()
        self._unsynced.put(None)
        if self._thread is not None:
            self._thread.join(_GATHER_S)

    def prepare(self, run: Run) -> None:
        """Its leader has ended, and nobody has been told."""
        if self._sync is SyncOutput.BEFORE_END:
            self._bring_to_disk(run.engine, [(run.id, run.attempt)])

    def unmake(self, run: Run) -> None:
        """Its process never came to be, and nobody else has its number yet: whatever was made for
        it goes, since nothing would be known of it where the job is stopped now. Any thread that
        may wait for files.
        """
        try:
            self._tidy(run)
            self._engines[run.engine].workspace.delete(run.id, run.attempt)
        except Exception:
            log.exception("job %d: what was made for attempt %d stays", run.id, run.attempt)

    def let_go(self, run: Run) -> None:
        """Its end is on disk, or there is nowhere to record it."""
        slow = self._slow.get(run.engine)
        if slow is None:
            self._forget(run)
        else:
            # Without a thread the pool has the work all the same, and does it with the next.
            with suppress(RuntimeError):
                slow.submit(self._forget, run)
        if self._sync is SyncOutput.SOON and run.output_bytes:
            self._unsynced.put((run.engine, run.id, run.attempt))

    def _forget(self, run: Run) -> None:
        try:
            self._reap(run)
        except Exception:
            log.exception("job %d: attempt %d is over, and was not let go", run.id, run.attempt)

    def _reap(self, run: Run) -> None:
        if run.process is not None:
            run.process.reap()
        failpoint("after-reap")
        self._tidy(run)

    def _tidy(self, run: Run) -> None:
        program = run.spec.argv[0] if run.spec.packed_script else None
        self._engines[run.engine].workspace.tidy(run.id, run.attempt, program)

    # --- the thread that syncs --------------------------------------------------------------------

    def _run(self) -> None:
        """Sleeps for good while nothing ends."""
        while (ended := self._unsynced.get()) is not None:
            self._closing.wait(_GATHER_S)
            found: dict[str, list[tuple[int, int]]] = {}
            last = False
            while ended is not None:
                engine, *which = ended
                found.setdefault(engine, []).append((which[0], which[1]))
                if self._unsynced.empty():
                    break
                ended = self._unsynced.get()
                last = ended is None
            for engine, outputs in found.items():
                if not self._bring_to_disk(engine, outputs):
                    for job, attempt in outputs:
                        self._unsynced.put((engine, job, attempt))
            if last:
                return

    def _bring_to_disk(self, engine: str, outputs: list[tuple[int, int]]) -> bool:
        """False: there was no descriptor left to do it with, and a little later there may be."""
        try:
            self._engines[engine].workspace.sync(outputs)
        except OSError as error:
            log.warning("output of finished jobs is not on the disk yet: %s", error)
            return error.errno not in linux.SHORTAGES
        except Exception:
            log.exception("engine %s: output is not on the disk yet", engine)
        return True
