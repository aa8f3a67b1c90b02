"""Outputs that somebody waits at: a write to any of them wakes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from jobd.outputs.workspace import Output, Wake
from jobd.system.write_watch import Watched, WriteWatch


class Watches:
    """What one who waits is woken by. For one thread at a time."""

    def __init__(self, writes: WriteWatch, wake: Wake) -> None:
        """`wake`: brief, called by any thread."""
        self._writes = writes
        self._wake = wake
        self._watched: dict[str, Wake] = {}
        """By its path, what ends the watch of an output or directory."""

    def only(self, outputs: Iterable[Output], directory: Path | None = None) -> set[Watched]:
        """These, and what is written in this directory, and no others any more."""
        wanted = {output.path: output for output in outputs}
        kept = wanted.keys() if directory is None else {*wanted, str(directory)}
        for path in self._watched.keys() - kept:
            self._watched.pop(path)()
        found = {self._watch(output) for output in wanted.values()}
        return found if directory is None else found | {self._watch_path(directory)}

    def _watch(self, output: Output) -> Watched:
        if output.watched is not None:
            return self._watch_path(output.watched)
        # No file of this machine: whoever has it tells of what is written.
        if output.path in self._watched:
            return Watched.BEFORE
        try:
            self._watched[output.path] = output.watch(self._wake)
        except OSError:
            return Watched.NOT
        return Watched.SINCE_NOW

    def _watch_path(self, path: Path) -> Watched:
        self._watched[str(path)] = partial(self._writes.discard, path, self._wake)
        return self._writes.add(path, self._wake)
