"""The thread that hears signals, and how they are left to whatever this process becomes.

The supervisor started us with these blocked, and all threads keep them so: none is lost. A handler
would not do. What comes just before the main thread goes to sleep is handled only when something
else wakes it up.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Final

HEARD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ENDS: Final = signal.SIGHUP
"""What the thread is ended by, sent to it by this process itself."""
_PATIENCE_S: Final = 2.0
"""Seconds for which what was heard last may keep us."""


class Signals:
    """The main thread starts it, and whoever replaces the process ends it."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self, hear: Callable[[int], object]) -> None:
        """`hear`: called by the thread with the number of each."""
        self._thread = threading.Thread(target=self._run, args=[hear], name="signals", daemon=True)
        self._thread.start()

    def hand_on(self) -> None:
        """All that was heard has been told when this returns. What comes from here on waits: it is
        still there behind an execve(2), and in a process that ends it is nobody's.
        """
        thread = self._thread
        if thread is None or thread.ident is None or not thread.is_alive():
            return
        signal.pthread_kill(thread.ident, _ENDS)
        thread.join(_PATIENCE_S)

    @staticmethod
    def _run(hear: Callable[[int], object]) -> None:
        while True:
            found = signal.sigwaitinfo(HEARD)
            if found.si_signo == _ENDS and found.si_pid == os.getpid():
                return
            hear(found.si_signo)
