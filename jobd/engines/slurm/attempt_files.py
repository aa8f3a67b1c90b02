"""The folder of an attempt in the shared directory: what starts it, and how it ended."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Final, NamedTuple

from jobd.contract.directories import Directory, File
from jobd.engines.base import Launch
from jobd.engines.local.spawn import write_program
from jobd.engines.slurm import script
from jobd.engines.slurm.folders import Folders
from jobd.engines.slurm.script import AttemptPaths

_ROOM: Final = b"\n" * 2000
"""What its script writes over this is written on a full disk, too."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What a file system says that gives a file no further name (link(2))."""
_MOST: Final = 100_000
"""Bytes that are read of an end."""
_TIMES: Final = re.compile(rb"(\d+)m([\d.,]+)s")


class End(NamedTuple):
    """What the script of an attempt has written at its end."""

    code: int | None
    """As the shell has it: 128 and the number of a signal, or an exit code."""
    signalled: bool = False
    """The shell says that it was a signal."""
    cannot: str | None = None
    """Why the command could not be started."""
    size: int = 0
    """Of its output, in bytes."""
    at: int | None = None
    """When it was written, microseconds since the epoch, by the file server's clock."""
    cpu_s: float | None = None
    node: str | None = None


class AttemptFiles(Folders):
    """Those of all attempts; a folder is named by the token. All raise OSError."""

    def __init__(self, shared: str) -> None:
        super().__init__(f"{shared}/attempts", last=script.BEGUN)

    def write(self, launch: Launch, output: str) -> AttemptPaths:
        """All that a node needs is there: its script, and what starts it."""
        folder = self.folder(launch.token)
        program = None
        if launch.script is not None:
            # Named like the file that it was, since errors of the shell begin with it. Not beside
            # others: the next attempt may begin before this one is tidied up.
            name = f"{launch.job}.{os.fsdecode(os.path.basename(launch.argv[0])[:100])}"
            program = os.fsencode(write_program(folder.file(name), launch.script).path)
        paths = AttemptPaths(os.fsencode(folder.path), os.fsencode(output), program)
        with open(folder.file(script.ASIDE).make(os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(_ROOM)
        with open(folder.file(script.START).make(os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(script.start_script(launch, paths))
        return paths

    def glance(self, token: str) -> tuple[float | None, bool]:
        """When it was begun, as `begun_at`, and whether it has ended: cheap, for many looks.

        The folder is opened for that, or a file server's word of a while ago is taken again.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            where = os.open(f"{self._all.path}/{token}", flags)
        except FileNotFoundError:
            return None, False
        try:
            begun, end = (_found(name, where) for name in (script.BEGUN, script.END))
        finally:
            os.close(where)
        return None if begun is None else _begun_at(begun), end is not None

    def begun_at(self, token: str) -> float | None:
        """When the command was to be started on a node, seconds since the epoch; None: not yet."""
        try:
            return _begun_at(self._file(token, script.BEGUN).look())
        except FileNotFoundError:
            return None

    def has_begun(self, token: str) -> bool:
        return self.begun_at(token) is not None

    def withdraw(self, token: str) -> bool:
        """See to it that it does not begin any more; whether that is so, by this or an earlier call
        of which nobody may have heard.

        The mark is made in one step and never taken for the empty file of a node: it is the script
        by one more name, which needs no room on a full disk, or a directory where there is no link.
        """
        where = self.folder(token).now()
        try:
            _mark(where.descriptor)
        except FileExistsError:
            return not self.has_begun(token)
        return True

    def end(self, token: str) -> End | None:
        """None: it has written none, or that is not seen here yet."""
        return end_in(self.folder(token))

    def _file(self, token: str, name: str) -> File:
        return self.folder(token).file(name)


def end_in(folder: Directory) -> End | None:
    """As `AttemptFiles.end`."""
    try:
        is_mark = not folder.file(script.END).look().st_size
        name = script.ASIDE if is_mark else script.END
        with open(folder.file(name).open(os.O_RDONLY), "rb") as file:
            found = read(file.read(_MOST))
            written = os.fstat(file.fileno()).st_mtime_ns // 1000
            return None if found is None else found._replace(at=written)
    except FileNotFoundError:
        return None


def _mark(where: int) -> None:
    """Raises: FileExistsError (there is a mark), OSError."""
    try:
        os.link(script.START, script.BEGUN, src_dir_fd=where, dst_dir_fd=where)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.mkdir(script.BEGUN, 0o700, dir_fd=where)


def _begun_at(mark: os.stat_result) -> float | None:
    """None: it is ours, by which no node can begin it any more. A crash may have left that empty,
    but a node's has one name, and is a file.
    """
    is_ours = mark.st_size or mark.st_nlink > 1 or stat.S_ISDIR(mark.st_mode)
    return None if is_ours else mark.st_mtime


def _found(name: str, where: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=where, follow_symlinks=False)
    except FileNotFoundError:
        return None


def read(text: bytes) -> End | None:
    """None: it is not whole."""
    head, found, cannot = text.partition(b"\n" + script.CANNOT)
    if not found and text.startswith(script.CANNOT):
        head, found, cannot = b"", script.CANNOT, text.removeprefix(script.CANNOT)
    parts = [line.partition(b" ") for line in head.split(b"\n")]
    lines = {key: rest for key, _, rest in parts}
    size = _whole(lines.get(b"size", b""))
    node = lines.get(b"node", b"").decode("ascii", "replace").strip() or None
    if found:
        why = cannot.rstrip(b"\n").decode("utf-8", "replace")
        return End(None, cannot=why, size=size, node=node)
    code, _, signal = lines.get(script.CODE.strip(), b"").partition(b" ")
    if not code.isdigit():
        return None
    return End(int(code), bool(signal.strip()), None, size, None, _cpu(head), node)


def _whole(text: bytes) -> int:
    return int(text) if text.strip().isdigit() else 0


def _cpu(text: bytes) -> float | None:
    """Of the shell's children: the second line of `times`, user and system, without what they had
    before, of others.
    """
    times = [int(m) * 60 + float(s.replace(b",", b".")) for m, s in _TIMES.findall(text)]
    return max(0.0, sum(times[2:4]) - sum(times[4:6])) if len(times) >= 4 else None
