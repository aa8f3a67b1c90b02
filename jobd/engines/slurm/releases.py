"""Held jobs are released, those of several threads by one program: of short jobs it costs much."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from jobd.engines.base import Away, CannotStart
from jobd.engines.slurm.commands import SlurmCommands

_MOST: Final = 50
"""By one program: it has a time to answer, and takes some milliseconds for each."""


class Releases:
    """Any thread may call. Whoever comes while a program runs waits, and goes with the next."""

    def __init__(self, commands: SlurmCommands) -> None:
        self._commands = commands
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, Future[None]]] = []
        self._is_busy = False

    def release(self, number: int) -> None:
        """As `SlurmCommands.release_new`. Raises: Away, CannotStart (this one never could)."""
        mine: Future[None] = Future()
        with self._changed:
            self._waiting.append((number, mine))
        while found := self._turn_of(mine):
            try:
                self._together(found)
            finally:
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()
        mine.result()

    def _turn_of(self, mine: Future[None]) -> list[tuple[int, Future[None]]]:
        """Those whom this thread is to release; none: another one has released its own."""
        with self._changed:
            self._changed.wait_for(lambda: mine.done() or not self._is_busy)
            if mine.done():
                return []
            self._is_busy = True
            found, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            return found

    def _together(self, found: Sequence[tuple[int, Future[None]]]) -> None:
        try:
            self._commands.release_new([number for number, _ in found])
        except CannotStart as error:
            if len(found) == 1:
                found[0][1].set_exception(error)
                return
            for one in found:  # it may be said of any of them
                self._together([one])
        except Away as error:
            for _, future in found:
                future.set_exception(Away(str(error)))
        except BaseException:
            for _, future in found:
                future.cancel()
            raise
        else:
            for _, future in found:
                future.set_result(None)
