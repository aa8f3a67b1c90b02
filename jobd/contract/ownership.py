"""Whose a file is: asked of what is already open, never of a path that others may change meanwhile.

A path is walked component by component, each opened before it is looked at and without following
links. Every directory and link on the way must belong to root or to the owner that is expected, and
others must not be able to write the directories: then nobody else can put something in the place of
what was checked, and the path may be used afterwards. (The rule of sshd_config(5), StrictModes, and
of systemd's chase() with CHASE_SAFE.)
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
from collections import deque
from pathlib import Path
from typing import Final

from jobd.contract.errors import NotPermitted

_MOST_LINKS: Final = 40
"""As many as the kernel follows (path_resolution(7))."""
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class NotOurs(NotPermitted):
    """Something on the way belongs to somebody else, or others can change it."""

    @property
    def owner(self) -> int | None:
        """The number of the user to whom it belongs; None: it is that others can change it."""
        return self.args[1] if len(self.args) > 1 else None


def login(uid: int) -> str:
    """The login of a user; the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def open_owned(path: Path, flags: int = os.O_RDONLY, *, owner: int | None = None) -> int:
    """A descriptor of the file or directory at `path`, which belongs to `owner` or to root.

    `flags`: as for open(2); close-on-exec, and not waiting for a FIFO, go without saying. `owner`:
    a user's number; None: our own effective one. The caller closes the descriptor.

    Raises: NotOurs (names what on the way is whose), OSError (also where nothing is there).
    """
    found = _walk(path, os.geteuid() if owner is None else owner)
    try:
        # The same file once more, this time to read or write it: O_PATH could do neither.
        return os.open(f"/proc/self/fd/{found}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    finally:
        os.close(found)


def check_way(path: Path, *, owner: int | None = None) -> None:
    """Whether nobody but `owner` and root can change what `path` leads to, as far as it exists.

    Raises: NotOurs, OSError.
    """
    try:
        os.close(_walk(path, os.geteuid() if owner is None else owner))
    except FileNotFoundError:
        return


def refuse_strangers(found: os.stat_result, where: str, owner: int) -> None:
    """Raises: NotOurs (it belongs neither to `owner` nor to root, or others can write it)."""
    if found.st_uid != owner and found.st_uid not in _roots():
        raise NotOurs(f"not permitted: {where} belongs to user {login(found.st_uid)}", found.st_uid)
    if stat.S_ISLNK(found.st_mode) or not others_can_write(found):
        return
    if stat.S_ISCHR(found.st_mode):
        return  # such as /dev/null: nothing that is written to it changes what is read from it
    if not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        raise NotOurs(f"not permitted: other users can write {where}; chmod go-w {where}")


def others_can_write(found: os.stat_result) -> bool:
    """By its mode, and not counting the group that a user has alone (as `adduser` makes it)."""
    writers = found.st_mode & _OTHERS
    if writers == stat.S_IWGRP and _is_private_group(found.st_gid, found.st_uid):
        return False
    return bool(writers)


def _is_private_group(gid: int, uid: int) -> bool:
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _walk(path: Path, owner: int) -> int:
    """An O_PATH descriptor of where the path leads. Raises: NotOurs, OSError."""
    absolute = os.path.abspath(path) if ".." not in path.parts else os.path.join(os.getcwd(), path)
    left = deque(part for part in Path(absolute).parts[1:] if part != ".")
    links = 0
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    way, device = "/", os.fstat(here).st_dev
    try:
        refuse_strangers(os.fstat(here), way, owner)
        while left:
            name = left.popleft()
            where = os.path.normpath(os.path.join(way, name))
            there = _step(here, name, where)
            found = os.fstat(there)
            try:
                refuse_strangers(found, where, owner)
                if found.st_dev != device:
                    _refuse_mount(found.st_dev, where, owner)
                target = os.readlink("", dir_fd=there) if stat.S_ISLNK(found.st_mode) else None
            except BaseException:
                os.close(there)
                raise
            if target is None:
                os.close(here)
                here, way, device = there, where, found.st_dev
                continue
            os.close(there)
            links += 1
            _refuse_circles(links, path)
            if os.path.isabs(target):
                os.close(here)
                here, way = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), "/"
                device = os.fstat(here).st_dev
            left.extendleft(reversed([p for p in Path(target).parts if p not in ("/", ".")]))
    except BaseException:
        os.close(here)
        raise
    return here


def _step(here: int, name: str, where: str) -> int:
    """An O_PATH descriptor of what is there under this name. Raises: OSError (names `where`)."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            # As a directory first: only so is one mounted that is mounted at need (autofs(5)).
            return os.open(name, flags | os.O_DIRECTORY, dir_fd=here)
        except NotADirectoryError:
            return os.open(name, flags, dir_fd=here)
    except OSError as error:
        error.filename = where
        raise


def _refuse_mount(device: int, where: str, owner: int) -> None:
    """Some file systems only claim that a file is root's. Raises: NotOurs, OSError.

    What lies behind FUSE, the user who mounted it decides (mount.fuse(8), `user_id`); and the links
    in /proc lead where a process stands, in its own world, whatever they say (proc_pid_root(5)).
    """
    kind, options = _mount(device)
    if kind == "proc":
        raise NotOurs(f"not permitted: {where} leads through /proc; name the file itself")
    user = re.search(r"(?:^|,)user_id=(\d+)", options) if kind.startswith("fuse") else None
    if user is not None and int(user[1]) not in {owner, *_roots()}:
        who = login(int(user[1]))
        raise NotOurs(f"not permitted: {where} was mounted by user {who}", int(user[1]))


def _mount(device: int) -> tuple[str, str]:
    """Type and options of a file system that is mounted here (proc_pid_mountinfo(5))."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            mount, _, system = line.partition(" - ")
            if mount.split()[2] == number:
                kind, *_, options = system.rstrip("\n").split(" ")  # its source may be empty
                return kind, options
    return "", ""  # part of one, such as a subvolume of btrfs


def _refuse_circles(links: int, path: Path) -> None:
    if links > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _roots() -> frozenset[int]:
    """Numbers under which root's files are seen: in a user namespace that has no root of its own,
    the kernel shows the one that stands for all who are not there (user_namespaces(7)).
    """
    try:
        with open("/proc/self/uid_map", "rb") as file:
            first = [line.split()[0] for line in file]
        if b"0" in first:
            return frozenset((0,))
        with open("/proc/sys/kernel/overflowuid", "rb") as file:
            return frozenset((0, int(file.read())))
    except (OSError, ValueError, IndexError):
        return frozenset((0,))
