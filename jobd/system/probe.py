"""What a program says about the machine, run beside whoever wants to know it.

It may hang where not even KILL reaches it (state D: a driver, a dead file server). Then it keeps
one thread and one process, and nobody else. Standard library only.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from jobd.system import spawning

_PATIENCE_S: Final = 3.0
"""Seconds that it may take, for all together who ask meanwhile."""
_NOT_AGAIN_S: Final = 60.0
"""Seconds for which one that failed, or is not there, is not run again."""
_GOING_S: Final = 0.5
"""Seconds in which one that was killed should be gone."""


class _Run:
    def __init__(self, work: Callable[[_Run], None], until: float) -> None:
        """`until`: when nobody waits for it any more, as the probe's clock says."""
        self.until = until
        self.said = Future[bytes | None]()
        self.pid = 0
        """While it is nobody else's; 0: it has not begun, or was reaped."""
        self.thread = threading.Thread(target=work, args=[self], name="probe", daemon=True)


class Probe:
    """One program with one command line. Any thread may ask; there is a thread while it runs.

    Those who ask while it runs share what it says. No lock is held while it does.
    """

    def __init__(self, *command: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._command = command
        self._clock = clock
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._not_before = clock()
        self._closed = False

    def said(self) -> bytes | None:
        """Its stdout. None: it is not there, has failed, or does not say it in time."""
        with self._lock:
            run = self._run or self._begun()
        if run is None:
            return None
        try:
            return run.said.result(max(0.0, run.until - self._clock()))
        except TimeoutError:
            return None

    def end(self) -> None:
        """Kill it, at once; it is never run again."""
        with self._lock:
            self._closed = True
            self._kill(self._run)

    def close(self) -> None:
        """As `end`, and its thread is gone, unless it hangs where KILL does not reach it."""
        self.end()
        with self._lock:
            run = self._run
        if run is not None:
            run.thread.join(_GOING_S)

    def _begun(self) -> _Run | None:
        """Under the lock."""
        now = self._clock()
        if self._closed or now < self._not_before:
            return None
        self._run = run = _Run(self._work, now + _PATIENCE_S)
        try:
            run.thread.start()
        except RuntimeError:  # the machine has no thread left
            self._run = None
        return self._run

    @staticmethod
    def _kill(run: _Run | None) -> None:
        """With what it has started. Under the lock: its number is its own."""
        if run is not None and run.pid:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)

    # --- the thread of a run ----------------------------------------------------------------------

    def _work(self, run: _Run) -> None:
        said = None
        try:
            with suppress(OSError):
                said = self._output(run)
        finally:
            with self._lock:
                self._run = None
                if said is None:
                    self._not_before = self._clock() + _NOT_AGAIN_S
            run.said.set_result(said)

    def _output(self, run: _Run) -> bytes | None:
        """Raises: OSError."""
        found = shutil.which(self._command[0])
        if found is None:
            return None
        program, argv = os.fsencode(found), [*map(os.fsencode, self._command)]
        # No pipe for its output: nobody would have to empty it, and what it leaves behind holds it.
        with (
            open(os.devnull, "r+b", buffering=0) as null,
            open(os.memfd_create("said"), "r+b", buffering=0) as output,
        ):
            pid = spawning.spawn_helper(
                program, argv, dict(os.environb), null.fileno(), output.fileno(), null.fileno()
            )
            with self._lock:
                run.pid = pid
                if self._closed:
                    self._kill(run)
            if self._exit_code(run, pid) != 0:
                return None
            output.seek(0)
            return output.readall()

    def _exit_code(self, run: _Run, pid: int) -> int:
        """Once it has ended; it is killed when its time is up."""
        try:
            in_time = _ends_within(pid, max(0.0, run.until - self._clock()))
        except OSError:  # no descriptor is left to wait with
            in_time = False
        if not in_time:
            with self._lock:
                self._kill(run)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            run.pid = 0
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _ends_within(pid: int, seconds: float) -> bool:
    """Raises: OSError."""
    descriptor = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))
    finally:
        os.close(descriptor)
