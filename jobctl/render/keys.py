"""Keys that are pressed while something is drawn: `q` leaves it, as Ctrl-C does.

Meanwhile the terminal hands on each key at once and does not show it. That is put back on every way
out: at the end, by a signal that ends the process, and while the process is stopped (Ctrl-Z). A
terminal that is not ours just now (in the background, no control of it) stays as it is.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any, Final, Self

_LEAVING: Final = frozenset(b"qQ")
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LATER_S: Final = 1.0
"""Seconds after which it is looked again whether keys that are pressed are meant for us."""


class Keys:
    """A context for the main thread, which is interrupted by a `q`. One thread of its own waits for
    the keys.
    """

    def __init__(self, resumed: Callable[[], None]) -> None:
        """`resumed`: told in the main thread that something else has had the terminal."""
        self._resumed = resumed
        self._terminal = -1
        """Its descriptor; -1: there is none that we may change."""
        self._before: list[Any] = []
        self._stack = ExitStack()
        self._main = threading.get_ident()

    @property
    def are_read(self) -> bool:
        return self._terminal >= 0

    def __enter__(self) -> Self:
        with suppress(OSError, ValueError, AttributeError, termios.error):
            terminal = sys.stdin.fileno()
            if os.tcgetpgrp(terminal) == os.getpgrp():
                self._before, self._terminal = termios.tcgetattr(terminal), terminal
        if self.are_read:
            self._stack.callback(self._give_back)
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._terminal = -1

    def _begin(self) -> None:
        handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            **dict.fromkeys(_ENDING, self._end),
            signal.SIGTSTP: self._stop,
            signal.SIGCONT: self._go_on,
        }
        for number, handler in handlers.items():
            if signal.getsignal(number) is signal.SIG_DFL:
                self._stack.callback(signal.signal, number, signal.signal(number, handler))
        reading, writing = os.pipe()
        thread = threading.Thread(target=self._read, args=[reading], daemon=True, name="keys")
        self._stack.callback(os.close, reading)
        self._stack.callback(thread.join)
        self._stack.callback(os.close, writing)
        self._take()
        thread.start()

    # --- the terminal ---------------------------------------------------------------------

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # it is gone
            return False

    def _take(self) -> None:
        mode = [*self._before]
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6] = [*mode[6]]
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        self._set(mode)

    def _give_back(self) -> None:
        self._set(self._before)

    def _set(self, mode: list[Any]) -> None:
        if self._is_ours():
            with suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, mode)

    # --- signals, in the main thread --------------------------------------------------------

    def _end(self, number: int, frame: FrameType | None) -> None:
        """As the signal would have done it by itself."""
        del frame
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it has been continued.
        signal.signal(number, self._stop)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        """Also where nobody could ask first (SIGSTOP)."""
        del number, frame
        self._take()
        self._resumed()

    # --- the keys, in a thread of its own -----------------------------------------------------

    def _read(self, over: int) -> None:
        wait_s = None
        while True:
            watched = [over] if wait_s else [over, self._terminal]
            ready, _, _ = select.select(watched, [], [], wait_s)
            if over in ready:
                return
            # What is typed to a shell, while we are in the background, is not for us.
            wait_s = None if self._is_ours() else _LATER_S
            if wait_s is None and ready:
                try:
                    pressed = os.read(self._terminal, 256)
                except OSError:
                    return
                if not pressed:
                    return
                if _LEAVING.intersection(pressed):
                    signal.pthread_kill(self._main, signal.SIGINT)
