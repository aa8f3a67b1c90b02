"""The directories of an instance: made, or found to be, its user's alone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError
from jobd.contract.ownership import NotOurs, belongs_to, login, make_directory
from jobd.contract.paths import HOME_VARIABLE

_INSTANCE: Final = "jobd."
"""How the names of files begin that only a daemon makes: database, socket, lock and log."""
_OUR_PREFIXES: Final = (_INSTANCE, "jobctl-crash-", "config.toml", ".config.toml")
_OUR_NAMES: Final = frozenset(
    ("output", "progress", "scripts", "running", "running.mark", "ephemeral", "lost+found")
)
"""What else may lie in a state directory: an editor's copies of the configuration, too, and what a
file system of its own has.
"""


def make_private(directory: Path) -> None:
    """Create a directory that is ours alone (0700), or check the one that is there.

    Directories above it that are missing are made, and are ours alone, too. It is looked at and
    changed by a descriptor, so nothing that others put in its place is followed or changed.

    Raises: NotOurs (others can change the way to it, or have put something in it), JobdError (it
    cannot be made, is no directory, belongs to root, or holds other things that others may see).
    """
    try:
        found = make_directory(directory)
        try:
            _close_to_others(directory, found)
        finally:
            os.close(found)
    except NotOurs as error:
        raise NotOurs(
            f"{error.message}; {HOME_VARIABLE} can name a directory of your own"
        ) from error
    except OSError as error:
        raise JobdError(
            f"cannot use the state directory {directory}: {error.strerror}; "
            f"set {HOME_VARIABLE} to a directory that you may write"
        ) from error


def _close_to_others(directory: Path, found: int) -> None:
    """`found`: an O_PATH descriptor of it. Raises: JobdError, OSError."""
    status, here = os.fstat(found), f"/proc/self/fd/{found}"
    if status.st_uid != os.geteuid():
        raise JobdError(
            f"{directory} belongs to user {status.st_uid}, not to you; "
            f"set {HOME_VARIABLE} to a directory of your own"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        _refuse_public(directory, os.listdir(here), mode)
    if mode != 0o700:
        os.chmod(here, 0o700)
    if not os.access(here, os.R_OK | os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(here).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code))
    _refuse_foreign(directory, here)


def _refuse_public(directory: Path, names: list[str], mode: int) -> None:
    """What holds other things, and was never an instance, others may be meant to see.

    Raises: JobdError.
    """
    if any(name.startswith(_INSTANCE) for name in names) or all(map(_is_ours, names)):
        return
    raise JobdError(
        f"{directory} holds other things and is open to other users (mode {mode:04o}); jobd would "
        f"close it to them. Set {HOME_VARIABLE} to a directory for jobd alone, such as "
        f"{directory / 'jobd'}; or close it yourself: chmod 700 {directory}"
    )


def _refuse_foreign(directory: Path, here: str) -> None:
    """While it was open to others, they may have put files there that we would use as ours.

    Raises: NotOurs, OSError.
    """
    with os.scandir(here) as entries:
        for entry in entries:
            if not _is_ours(entry.name):
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # a daemon that runs makes and deletes files all the time
            if not belongs_to(found, os.geteuid()):
                raise NotOurs(
                    f"not permitted: {directory / entry.name} belongs to user "
                    f"{login(found.st_uid)}; remove it"
                )


def _is_ours(name: str) -> bool:
    return name in _OUR_NAMES or name.startswith(_OUR_PREFIXES)
