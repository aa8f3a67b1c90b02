"""`jobd restore`: a backup is put in place while no daemon runs, and none can start."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from jobd.contract.errors import Refused
from jobd.contract.paths import Paths
from jobd.contract.state_directory import make_private
from jobd.store import restore as store
from jobd.system import linux


def restore(paths: Paths, file: Path) -> store.Restored:
    """Raises: Refused (a daemon runs), JobdError, OSError."""
    store.refuse_what_is_no_file(file)
    make_private(paths.state)
    with _kept_down(paths):
        return store.restore(paths.database, file)


@contextlib.contextmanager
def _kept_down(paths: Paths) -> Iterator[None]:
    """The lock is ours, as a supervisor has it: whoever starts meanwhile waits for it."""
    lock = linux.open_lock(paths.lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused("jobd is running; stop it first: jobd stop") from None
    finally:
        os.close(lock)
