"""Memory that mirrors the disk: made true again when a transaction fails, made use of when not."""

from __future__ import annotations

from collections.abc import Callable


class Undo:
    """Each change of memory leaves its undoing here; played backwards when the commit fails."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []
        self._saved: list[Callable[[], object]] = []

    def add(self, step: Callable[[], object], saved: Callable[[], object] | None = None) -> None:
        """`saved`: called instead when the change is on disk, for what others may then rely on."""
        self._steps.append(step)
        if saved is not None:
            self._saved.append(saved)

    def clear(self) -> None:
        """All of it is on disk."""
        self._steps.clear()
        saved, self._saved = self._saved, []
        for tell in saved:
            tell()

    @property
    def mark(self) -> tuple[int, int]:
        """Where the log stands now."""
        return len(self._steps), len(self._saved)

    def play(self, mark: tuple[int, int] = (0, 0)) -> None:
        """None of what is behind the mark is on disk."""
        steps, saved = mark
        del self._saved[saved:]
        while len(self._steps) > steps:
            self._steps.pop()()
