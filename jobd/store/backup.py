"""A consistent copy of the database in one file, also while a daemon writes to it."""

from __future__ import annotations

import fcntl
import glob
import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError, StoreFailed
from jobd.contract.ownership import NotOurs, check_way
from jobd.store.database import connect, is_full, sync
from jobd.store.inspection import Inspection
from jobd.store.readonly import open_untouched
from jobd.store.way_out import note_backup

_PIECE: Final = 1000
"""Pages that are copied between two looks at an interrupt."""


def backup(database: Path, target: Path, *, running: bool, force: bool) -> int:
    """Copy it to `target` (0600), whole or not at all; how many jobs are in it.

    Raises: JobdError (`target` exists, cannot be written, or is the database itself), NotOurs
    (others could read or replace it), StoreFailed (what was copied is damaged).
    """
    _refuse_own(database, target)
    _refuse_existing(target, force=force)
    try:
        with open_untouched(database, running=running) as source:
            _refuse_open(target.parent)
            with partial_beside(target) as partial:
                jobs = copy_whole(source, partial)
                _name(partial, target, force=force)
    except OSError as error:
        raise JobdError(
            f"cannot write {target}: {(error.strerror or str(error)).lower()}"
        ) from error
    note_backup(database, target)
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


def _refuse_existing(target: Path, *, force: bool) -> None:
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        # The copy takes the name: as root, /dev/stdout would be gone for the whole machine.
        raise JobdError(f"{target} is no regular file; name another one")
    if not force:
        raise JobdError(f"{target} exists; name another file, or overwrite it: --force")


def _name(partial: Path, target: Path, *, force: bool) -> None:
    """Under its name it is whole, and on disk, or not there at all.

    Raises: JobdError (somebody else's file has come there meanwhile), OSError.
    """
    if force:
        _refuse_existing(target, force=True)
        os.replace(partial, target)
    else:
        try:
            os.link(partial, target)
        except FileExistsError:
            _refuse_existing(target, force=False)
            raise
        except OSError:
            # A file system without hard links.
            _refuse_existing(target, force=False)
            os.rename(partial, target)
    sync(target.parent)


@contextmanager
def partial_beside(target: Path) -> Iterator[Path]:
    """A private file beside the target, that does not outlive a failure.

    In a directory of its own: what SQLite puts beside it nobody else can have put there. One that
    a power cut has left goes with the next that is made; each is held by a lock while in use.
    """
    directory = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    partial = directory / target.name
    _sweep(target)
    os.mkdir(directory, 0o700)
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield partial
    finally:
        _remove(partial)
        os.close(held)


def _sweep(target: Path) -> None:
    """What an interrupted copy to the same target has left."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        with suppress(OSError):
            held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(held).st_uid == os.geteuid():
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(left / target.name)
            finally:
                os.close(held)


def _remove(partial: Path) -> None:
    """With what SQLite keeps beside it, and its directory."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(OSError):
            os.unlink(f"{partial}{suffix}")
    with suppress(OSError):
        partial.parent.rmdir()


def copy_whole(source: sqlite3.Connection, partial: Path) -> int:
    """As it is at one moment, and on disk; how many jobs are in it.

    Raises: JobdError (no space), StoreFailed (it is damaged), OSError, sqlite3.Error.
    """
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
    sync(partial)
    return jobs
