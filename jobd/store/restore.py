"""Put a backup in the place of the database; what was there is kept beside it."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from jobd.contract.errors import JobdError, StoreFailed
from jobd.store.backup import copy_whole, partial_beside
from jobd.store.database import SEE_CHECK, sync
from jobd.store.inspection import Inspection
from jobd.store.readonly import open_untouched

_NO_BACKUP: Final = "Nothing was changed; name another backup"


class Restored(NamedTuple):
    """What is in place now, and where what was there lies."""

    jobs: int
    kept: Path | None
    """Under this name lies what was there before; None: nothing was."""


def refuse_what_is_no_file(source: Path) -> None:
    """A FIFO would be waited for. Raises: JobdError."""
    try:
        found = os.stat(source)
    except OSError as error:
        raise JobdError(f"cannot read {source}: {(error.strerror or '').lower()}") from error
    if not stat.S_ISREG(found.st_mode):
        raise JobdError(f"{source} is no regular file. {_NO_BACKUP}")


def restore(database: Path, source: Path) -> Restored:
    """Called while no daemon runs, and none can start.

    Raises: JobdError (it is no backup, or cannot be written), StoreFailed (it is damaged).
    """
    if os.path.realpath(source) == os.path.realpath(database):
        raise JobdError(f"{source} is the database itself; name a backup of it")
    try:
        with open_untouched(source, running=False) as backup:
            _refuse_foreign(source, Inspection(backup))
            with partial_beside(database) as partial:
                jobs = copy_whole(backup, partial)
                kept = _keep(database)
                _exchange(partial, database)
    except StoreFailed as error:
        # The error is about the backup; `jobd check` looks at the database.
        raise StoreFailed(error.message.replace(SEE_CHECK, _NO_BACKUP)) from error
    except OSError as error:
        raise JobdError(f"cannot restore {source}: {(error.strerror or '').lower()}") from error
    return Restored(jobs, kept)


def _refuse_foreign(source: Path, inspection: Inspection) -> None:
    fault = inspection.version_fault()
    if fault is not None:
        raise StoreFailed(f"{source} cannot be restored: {fault.text}")


def _keep(database: Path) -> Path | None:
    """A second name for what is there, log and index included: not a byte is copied."""
    if not database.exists():
        return None
    kept = database.with_name(f"{database.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.link(f"{database}{suffix}", f"{kept}{suffix}")
    sync(database.parent)
    return kept


def _exchange(partial: Path, database: Path) -> None:
    """The log goes first: it must never be taken for that of the backup. Cut off in between, the
    database is refused for want of its log, and the backup is restored once more.
    """
    _unlink(f"{database}-wal")
    sync(database.parent)
    os.replace(partial, database)
    _unlink(f"{database}-shm")
    sync(database.parent)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
