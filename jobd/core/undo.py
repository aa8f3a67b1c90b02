"""How memory that mirrors the disk is made true again when a transaction fails."""

from __future__ import annotations

from collections.abc import Callable


class Undo:
    """Each change of memory leaves its undoing here; played backwards when the commit fails."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def add(self, step: Callable[[], object]) -> None:
        self._steps.append(step)

    def clear(self) -> None:
        self._steps.clear()

    def play(self) -> None:
        while self._steps:
            self._steps.pop()()
