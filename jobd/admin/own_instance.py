"""The door of an instance: whose it is, asked before a command does anything with it.

No command acts on, follows a link in, or starts anything from a state directory that is not the
caller's own, and root is no exception: whoever owns the directory decides what is in it, and would
decide what root runs. So nobody but the caller and root may be able to change the way to it
(`jobd/contract/ownership.py`), and what is opened in it is the caller's. Behind this door nobody
else can put anything in the place of what was looked at.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from jobd.contract.errors import JobdError, NotPermitted
from jobd.contract.ownership import NotOurs, check_way, login, open_owned
from jobd.contract.paths import HOME_VARIABLE, Paths
from jobd.system.log_file import KEPT

_PLAIN: Final = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK)
"""What leads nowhere else, and is not waited for when it is opened (inode(7))."""


def enter(paths: Paths, command: str, environ: Mapping[str, str] | None = None) -> None:
    """`command`: what is to be done behind it, as a person would type it. Changes nothing.

    Raises: NotPermitted (says whose what is, and the way out), JobdError (it cannot be looked at).
    """
    try:
        _check_state(paths)
    except NotOurs as error:
        out = _way_out(paths.state, error.owner, command, environ or os.environ)
        raise NotOurs(f"{error.message}. {out}", error.owner) from error
    except OSError as error:
        said = f"use {paths.state}: {error.filename}: {(error.strerror or '').lower()}"
        if isinstance(error, PermissionError):
            raise NotPermitted(f"not permitted to {said}") from error
        raise JobdError(f"cannot {said}") from error
    if paths.ephemeral:
        check_way(paths.database)  # it lies where everybody may make a directory


def _check_state(paths: Paths) -> None:
    """Raises: NotPermitted, OSError."""
    try:
        state = open_owned(paths.state, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return  # nothing is there to act on
    try:
        whose = os.fstat(state).st_uid
        if whose != os.geteuid():
            raise NotOurs(f"not permitted: {paths.state} belongs to user {login(whose)}", whose)
        for path, found in _there(state, _files(paths)):
            _refuse_special(path, found)
            if stat.S_ISREG(found.st_mode) and found.st_nlink > 1 and path not in _logs(paths):
                raise NotPermitted(
                    f"not permitted: {path} has another name elsewhere (a hard link); move it away"
                )
        for path, found in _there(state, _databases(paths)):
            if stat.S_ISLNK(found.st_mode):
                _check_link(path)
            else:
                _refuse_special(path, found)
    finally:
        os.close(state)


def _files(paths: Paths) -> list[Path]:
    """What is opened as it is: no link is followed."""
    usual = Paths(paths.state, paths.config)
    tables = [usual.run_table, Path(f"{usual.run_table}.mark")]
    return [paths.lock, paths.socket, *tables, *_logs(paths)]


def _logs(paths: Paths) -> list[Path]:
    """Under a second name a log is begun anew, as it is when it is rotated."""
    names = ("", ".new", *(f".{number}" for number in range(1, KEPT + 1)))
    return [Path(f"{paths.log}{name}") for name in names]


def _databases(paths: Paths) -> list[Path]:
    """What may be links that their owner has made. The directories are not looked at: a daemon does
    that when it starts, and no other command may wait for one on a dead file server.
    """
    usual = Paths(paths.state, paths.config)
    return [Path(f"{usual.database}{suffix}") for suffix in ("", "-wal", "-shm")]


def _there(state: int, paths: list[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Those that are there, links as such. Raises: NotPermitted (one is another's), OSError."""
    for path in paths:
        try:
            found = os.stat(path.name, dir_fd=state, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if found.st_uid != os.geteuid():
            who = login(found.st_uid)
            raise NotPermitted(f"not permitted: {path} belongs to user {who}; move it away")
        yield path, found


def _refuse_special(path: Path, found: os.stat_result) -> None:
    """Raises: NotPermitted."""
    if stat.S_IFMT(found.st_mode) not in _PLAIN:
        raise NotPermitted(f"not permitted: {path} is no plain file; move it away")


def _check_link(path: Path) -> None:
    """Raises: NotPermitted, OSError."""
    try:
        there = open_owned(path, os.O_PATH)
    except FileNotFoundError:
        return
    except NotOurs as error:
        raise NotPermitted(f"{error.message}; {path} leads there: move that link away") from error
    try:
        _refuse_special(path, os.fstat(there))
    finally:
        os.close(there)


def _way_out(state: Path, owner: int | None, command: str, environ: Mapping[str, str]) -> str:
    """`owner`: whose it is; None: it is ours, and others can change it."""
    named = (HOME_VARIABLE, "XDG_STATE_HOME")
    variable = next((name for name in named if environ.get(name)), "HOME")
    mend = "set it to your own home" if variable == "HOME" else "unset it"
    if owner is None or os.geteuid() != 0:
        it = "it" if variable == HOME_VARIABLE else HOME_VARIABLE
        return f"{variable} leads there: {mend}, or set {it} to a directory that is yours alone"
    where = ["env", f"{HOME_VARIABLE}={state}"] if variable == HOME_VARIABLE else []
    as_owner = shlex.join(["sudo", "-H", "-u", _sudo_name(owner), *where, *command.split()])
    return f"{variable} leads there: act as that user ({as_owner}), or {mend}"


def _sudo_name(uid: int) -> str:
    """As sudo(8) takes it: a number where there is no login."""
    name = login(uid)
    return f"#{uid}" if name.startswith("number ") else name
