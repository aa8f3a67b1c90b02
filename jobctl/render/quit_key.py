"""`q` leaves a view that is drawn on a terminal by lines, as Ctrl-C does.

For that the terminal gives out keys as they are pressed, and does not show them. It is put right
again when the view ends, when it is stopped (Ctrl-Z) and when a signal ends it; whoever kills it
with KILL finds it so as after any full-screen program.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self

_QUIT: Final = b"qQ"
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_ASIDE_S: Final = 1.0
"""Seconds until it is looked again whether this is in front; until then keys are for others."""


class QuitKey:
    """A context of the main thread, which gets SIGINT for the key. Nothing, where stdin is no
    terminal, or this is not in front of it.
    """

    def __init__(self) -> None:
        self._before = ExitStack()
        """What puts everything back."""
        self._usual: list[Any] | None = None
        """How the terminal was; None: it is so."""
        self._leaving: int | None = None

    def __enter__(self) -> Self:
        if not _is_in_front():
            return self
        for number, handle in [
            *((number, self._end) for number in _ENDING),
            (signal.SIGTSTP, self._stop), (signal.SIGCONT, self._go_on),
        ]:  # fmt: skip
            if signal.getsignal(number) is signal.SIG_DFL:
                self._before.callback(signal.signal, number, signal.signal(number, handle))
        self._take()
        ours, self._leaving = os.pipe()
        self._before.callback(os.close, self._leaving)
        thread = threading.Thread(target=_listen, args=[ours], name="quit-key", daemon=True)
        # Signals are the main thread's: they are to wake it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._give_back()
        self._before.close()

    def _take(self) -> None:
        with suppress(termios.error, OSError):
            usual = termios.tcgetattr(sys.stdin)
            keys = termios.tcgetattr(sys.stdin)
            keys[3] &= ~(termios.ICANON | termios.ECHO)
            keys[6][termios.VMIN], keys[6][termios.VTIME] = 1, 0
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, keys)
            self._usual = usual

    def _give_back(self) -> None:
        usual, self._usual = self._usual, None
        if usual is not None and _is_in_front():
            with suppress(termios.error, OSError):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, usual)

    # --- signals --------------------------------------------------------------------------------

    def _end(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._give_back()
        # Not by its default handler, which would have to be set anew in time.
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._usual is None and _is_in_front():
            self._take()


def _is_in_front() -> bool:
    """Whether keys that are pressed are for us; others would be stopped for reading them."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False


def _listen(leaving: int) -> None:
    """In a thread of its own, until the other end of `leaving` is closed."""
    keys = sys.stdin.fileno()
    try:
        while True:
            ready = select.select([keys, leaving], [], [])[0]
            if leaving in ready:
                return
            if not _is_in_front():
                if select.select([leaving], [], [], _ASIDE_S)[0]:
                    return
                continue
            pressed = os.read(keys, 64)
            if not pressed:
                return  # nobody holds the terminal any more
            if any(key in _QUIT for key in pressed):
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)
                return
    except OSError:
        return
    finally:
        os.close(leaving)
