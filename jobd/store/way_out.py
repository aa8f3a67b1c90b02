"""Out of a damaged database: the backups that are known, and how to begin anew."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from jobd.contract.paths import Paths
from jobd.contract.wording import printable

_NOTES: Final = "jobd.backups"
"""Beside the database: the paths of backups, one a line, the newest last."""
_MOST: Final = 10
"""Backups that are remembered."""
_TOLD: Final = 3
"""Backups that are told."""


def way_out(paths: Paths) -> str:
    """A sentence for people, with commands that can be typed as they stand."""
    return f"{_restore(paths.database)}. Or begin anew: {_begin_anew(paths)}"


def note_backup(database: Path, backup: Path) -> None:
    """Remember where one lies; where that cannot be noted it is no fault of the backup."""
    if "\n" in str(backup):
        return
    notes = database.with_name(_NOTES)
    others = [known for known in _noted(notes) if known != backup]
    lines = [os.fsencode(path) + b"\n" for path in [*others, backup][-_MOST:]]
    fresh = notes.with_name(f"{_NOTES}.new")
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):
        with open(os.open(fresh, flags, 0o600), "wb") as file:
            file.writelines(lines)
        os.replace(fresh, notes)


def known_backups(database: Path) -> list[Path]:
    """Those that are still there, the newest first."""
    found = [path for path in _noted(database.with_name(_NOTES)) if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _noted(notes: Path) -> list[Path]:
    try:
        lines = notes.read_bytes().splitlines()
    except OSError:
        return []
    return [Path(os.fsdecode(line)) for line in lines]


def _restore(database: Path) -> str:
    known = known_backups(database)
    if not known:
        return "restore a backup, if you have one: jobd restore FILE"
    names = [_quoted(path) for path in known[:_TOLD]]
    others = f"; older ones: {', '.join(names[1:])}" if names[1:] else ""
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(known[0].stat().st_mtime))
    return f"restore the backup of {made}: jobd restore {names[0]}{others}"


def _begin_anew(paths: Paths) -> str:
    """Beside where it lay, so that nothing crosses a file system."""
    beside = [Path(f"{paths.database}{suffix}") for suffix in ("", "-wal", "-shm")]
    there = [_quoted(path) for path in [*beside, paths.output] if path.exists()]
    aside = _quoted(next(path for path in _aside(paths.state) if not path.exists()))
    return (
        f"mkdir -m 700 {aside} && mv {' '.join(there)} {aside} && jobd start. Then all jobs, the "
        "waiting ones, too, and the history are gone; what was moved is kept for whoever mends it"
    )


def _aside(state: Path) -> Iterator[Path]:
    yield state / "jobd.damaged"
    yield from (state / f"jobd.damaged.{number}" for number in count(2))


def _quoted(path: Path) -> str:
    return printable(shlex.quote(str(path)))
