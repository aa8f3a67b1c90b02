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
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobd.contract.errors import NotPermitted

_MOST_LINKS: Final = 40
"""As many as the kernel follows (path_resolution(7))."""
_NOBODY: Final = 2**32 - 1
"""What the kernel never gives to a user: -1 of chown(2)."""
_NUMBER: Final = r"[0-9]{1,10}"
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class NotOurs(NotPermitted):
    """Something on the way belongs to somebody else, or others can change it."""

    def __init__(self, message: str, owner: int | None = None) -> None:
        super().__init__(message)
        self.owner = owner
        """The number of the user to whom it belongs; None: it is that others can change it."""


def login(uid: int) -> str:
    """The login of a user; the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def number_of(user: str) -> int | None:
    """The number of a user who is named by login or by number; None: there is none such."""
    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):
        known = re.fullmatch(_NUMBER, user) is not None and int(user) < _NOBODY
        return int(user) if known else None


def open_owned(
    path: Path, flags: int = os.O_RDONLY, *, owner: int | None = None, beside: int | None = None
) -> int:
    """A descriptor of the file or directory at `path`, which belongs to `owner` or to root.

    `flags`: as for open(2); close-on-exec, and not waiting for a FIFO, go without saying. `owner`:
    a user's number; None: our own effective one. `beside`: one more user who is trusted like that
    owner. The caller closes the descriptor.

    Raises: NotOurs (names what on the way is whose), OSError (also where nothing is there).
    """
    trusted = os.geteuid() if owner is None else owner
    found = _walk(path, trusted, trusted if beside is None else beside)
    try:
        # The same file once more, this time to read or write it: O_PATH could do neither.
        return os.open(f"/proc/self/fd/{found}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    finally:
        os.close(found)


def make_directory(path: Path) -> int:
    """An O_PATH descriptor of a directory that belongs to us or to root.

    Where it is not there, it and those above it are made: 0700 from their first moment, whatever
    the umask. Not at the end of a link that leads nowhere: what should be there may not be mounted
    yet. The caller closes the descriptor.

    Raises: NotOurs (names what on the way is whose), OSError.
    """
    found = _walk(path, os.geteuid(), make=True)
    if not stat.S_ISDIR(os.fstat(found).st_mode):
        os.close(found)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return found


def open_below(parent: int, name: str, where: str, *, make: bool = False) -> int:
    """An O_PATH descriptor of a directory in one that is open and has been checked, as a walk to it
    would end: nobody else can put another one there. No link is followed. The caller closes it.

    `parent`: a descriptor; `where`: the path of what it is, for words. `make`: as `make_directory`.

    Raises: NotOurs, OSError.
    """
    if make:
        _make_missing(parent, name)
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        found = os.open(name, flags, dir_fd=parent)
    except OSError as error:
        error.filename = where
        raise
    try:
        state = os.fstat(found)
        refuse_strangers(state, where, os.geteuid())
        if state.st_dev != os.fstat(parent).st_dev:
            _refuse_mount(state.st_dev, where, os.geteuid())
    except BaseException:
        os.close(found)
        raise
    return found


def remove_directory(path: Path) -> None:
    """Delete a directory of ours with all that is in it, as far as that is possible.

    No link is followed, neither in its place nor in it. Nothing there is no error.

    Raises: NotOurs (somebody else can change the way, or has put something there), OSError.
    """
    import shutil

    try:
        parent = open_owned(path.parent, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        found = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        refuse_strangers(found, str(path), os.geteuid())
        # Beginning with this very directory: a link is not gone through (shutil.rmtree).
        shutil.rmtree(path.name, ignore_errors=True, dir_fd=parent)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)


def check_way(path: Path, *, owner: int | None = None) -> None:
    """Whether nobody but `owner` and root can change what `path` leads to, as far as it exists.

    Raises: NotOurs, OSError.
    """
    try:
        os.close(_walk(path, os.geteuid() if owner is None else owner))
    except FileNotFoundError:
        return


def refuse_strangers(found: os.stat_result, where: str, *owners: int) -> None:
    """Raises: NotOurs (it belongs to none of `owners` and not to root, or others can write it)."""
    if not belongs_to(found, *owners):
        raise NotOurs(f"not permitted: {where} belongs to user {login(found.st_uid)}", found.st_uid)
    if stat.S_ISLNK(found.st_mode) or not others_can_write(found):
        return
    if stat.S_ISCHR(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        # Such as /dev/null: nothing that is written to it changes what is read from it. Who may
        # write a socket may connect to it.
        return
    if not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        raise NotOurs(f"not permitted: other users can write {where}; chmod go-w {where}")


def belongs_to(found: os.stat_result, *owners: int) -> bool:
    """To one of `owners` or to root."""
    return found.st_uid in owners or found.st_uid in _roots()


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
    if group.gr_name != user.pw_name or not set(group.gr_mem) <= {user.pw_name}:
        return False
    # Whose own group it is, group(5) does not list.
    return all(other.pw_uid in (uid, 0) for other in pwd.getpwall() if other.pw_gid == gid)


def _walk(path: Path, *owners: int, make: bool = False) -> int:
    """An O_PATH descriptor of where the path leads. Raises: NotOurs, OSError.

    `make`: directories that are missing are made, but not where a link leads.
    """
    absolute = os.path.abspath(path) if ".." not in path.parts else os.path.join(os.getcwd(), path)
    left = deque(part for part in Path(absolute).parts[1:] if part != ".")
    links, of_links = 0, len(left)
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    way, device = "/", os.fstat(here).st_dev
    try:
        refuse_strangers(os.fstat(here), way, *owners)
        while left:
            name = left.popleft()
            if make and len(left) < of_links:
                _make_missing(here, name)
            where = os.path.normpath(os.path.join(way, name))
            there = _step(here, name, where)
            found = os.fstat(there)
            try:
                refuse_strangers(found, where, *owners)
                if found.st_dev != device:
                    _refuse_mount(found.st_dev, where, *owners)
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
            of_links = min(of_links, len(left))
            left.extendleft(reversed([p for p in Path(target).parts if p not in ("/", ".")]))
    except BaseException:
        os.close(here)
        raise
    return here


def _make_missing(here: int, name: str) -> None:
    """A directory where nothing is: 0700 from its first moment, whatever the umask.

    Raises: OSError.
    """
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=here, follow_symlinks=False)
        return
    try:
        os.mkdir(name, 0o700, dir_fd=here)
    except FileExistsError:
        return  # somebody was quicker: it is looked at like all that was there before
    made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        found = os.fstat(made)
        if found.st_uid == os.geteuid() and ~found.st_mode & stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{made}", 0o700)  # the umask took away what is ours
    finally:
        os.close(made)
    with suppress(OSError):
        sync_directory(here)  # what cannot be read or synchronised is there all the same


def sync_directory(directory: int) -> None:
    """Bring the names in it to the disk: what was made there is there after a power cut, and what
    was deleted is not (fsync(2)). `directory`: a descriptor, also one of O_PATH.

    Raises: OSError.
    """
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


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


def _refuse_mount(device: int, where: str, *owners: int) -> None:
    """Some file systems only claim that a file is root's. Raises: NotOurs, OSError.

    What lies behind FUSE, the user who mounted it decides (mount.fuse(8), `user_id`); and the links
    in /proc lead where a process stands, in its own world, whatever they say (proc_pid_root(5)).
    """
    kind, options = _mount(device)
    if kind == "proc":
        raise NotOurs(f"not permitted: {where} leads through /proc; name the file itself")
    user = re.search(r"(?:^|,)user_id=(\d+)", options) if kind.startswith("fuse") else None
    if user is not None and int(user[1]) not in {*owners, *_roots()}:
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
    """Numbers under which root's files are seen: in a user namespace that root is not part of, the
    kernel shows the one that stands for all who are not (user_namespaces(7)).
    """
    try:
        with open("/proc/self/uid_map", "rb") as file:
            ranges = [tuple(map(int, line.split())) for line in file]
        for inside, outside, _ in ranges:
            if outside == 0:
                return frozenset((inside,))
        with open("/proc/sys/kernel/overflowuid", "rb") as file:
            return frozenset((0, int(file.read())))
    except (OSError, ValueError):
        return frozenset((0,))
