"""A consistent copy of the database in one file, also while a daemon writes to it."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError, StoreFailed
from jobd.contract.ownership import NotOurs, check_way
from jobd.store.database import connect, is_full
from jobd.store.inspection import Inspection
from jobd.store.readonly import open_untouched

_PIECE: Final = 1000
"""Pages that are copied between two looks at an interrupt."""


def backup(database: Path, target: Path, *, running: bool, force: bool) -> int:
    """Copy it to `target` (0600), whole or not at all; how many jobs are in it.

    Raises: JobdError (`target` exists, cannot be written, or is the database itself), NotOurs
    (others could read or replace it), StoreFailed (what was copied is damaged).
    """
    _refuse_own(database, target)
    try:
        with open_untouched(database, running=running) as source:
            _refuse_open(target.parent)
            with _reserved(target, force=force), _partial(target) as partial:
                jobs = _copy(source, partial)
                os.replace(partial, target)
                _sync(target.parent)
    except OSError as error:
        raise JobdError(
            f"cannot write {target}: {(error.strerror or str(error)).lower()}"
        ) from error
    return jobs


def _refuse_own(database: Path, target: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        if os.path.realpath(target) == os.path.realpath(f"{database}{suffix}"):
            raise JobdError(f"{target} is the database itself; name another file")


def _refuse_open(directory: Path) -> None:
    """Whoever can change the way to a file of ours can have the copy written into one of theirs."""
    try:
        check_way(directory)
    except NotOurs as error:
        raise NotOurs(
            f"{error.message}; a backup holds captured environments, so name a file in a directory "
            "that only you can change"
        ) from error


@contextmanager
def _reserved(target: Path, *, force: bool) -> Iterator[None]:
    """Nobody else's file is overwritten, also not one that comes meanwhile."""
    if force:
        yield
        return
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise JobdError(f"{target} exists; name another file, or overwrite it: --force") from None
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A private file beside the target, that does not outlive a failure.

    In a directory of its own: what SQLite puts beside it nobody else can have put there.
    """
    directory = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    partial = directory / target.name
    os.mkdir(directory, 0o700)
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield partial
    finally:
        for suffix in ("", "-journal"):
            with suppress(OSError):
                os.unlink(f"{partial}{suffix}")
        with suppress(OSError):
            directory.rmdir()


def _copy(source: sqlite3.Connection, partial: Path) -> int:
    # A transaction, so that the copy is of one moment and need not begin again with every commit.
    source.execute("BEGIN")
    try:
        with closing(connect(partial, "rw")) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # it is synchronised as a whole
            source.backup(copy, pages=_PIECE)
            copy.execute("PRAGMA journal_mode = DELETE")
            wrong = Inspection(copy).structure(whole=False)
            jobs = 0 if wrong else Inspection(copy).jobs()
    except sqlite3.Error as error:
        if is_full(error):
            raise JobdError(
                f"no space left for {partial.parent.parent}; nothing was written"
            ) from error
        raise
    if wrong:
        raise StoreFailed(f"the database is damaged ({wrong[0]}); see: jobd check")
    _sync(partial)
    return jobs


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
