"""What may lie on a disk after a power cut: built from a record of what was done to files.

A write, and a name that is given or taken away, is on the disk once its file or its directory has
been synchronised; until then it may be there or not, each for itself. The record is made by
`record.c`, and by `Record.note`, which says in between what was confirmed by then.
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

_HEADER: Final = struct.Struct("=IIQQQ")
"""Kind, length of the path, inode, offset, length of the data."""
_NAMES: Final = "CKLRU"
"""Kinds that change a directory: created, made, linked, renamed, unlinked."""
_BARE: Final = "TEHS" + _NAMES
"""Kinds without data."""


class Op(NamedTuple):
    """Something that was done, in the order in which it was."""

    index: int
    kind: str
    path: str
    """Where it was done; of a renamed file its new name."""
    old: str
    """Of a renamed file its old name."""
    file: int
    """Which file: a number that none has after it."""
    offset: int
    size: int
    data: bytes

    @property
    def place(self) -> str | int:
        """What has to be synchronised: a file, or the directory of a name."""
        return os.path.dirname(self.path) if self.kind in _NAMES else self.file


def note_of(op: Op) -> dict[str, Any]:
    """What was confirmed there."""
    found: dict[str, Any] = json.loads(op.data)
    return found


class Record:
    """The file that is recorded into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def note(self, **what: Any) -> None:
        """From here on this is confirmed."""
        data = json.dumps(what).encode()
        with open(self.path, "ab", buffering=0) as file:
            file.write(_HEADER.pack(ord("A"), 0, 0, 0, len(data)) + data)

    def ops(self) -> list[Op]:
        """All of it; notes are of kind `A`."""
        files: dict[int, int] = {}
        found: list[Op] = []
        for kind, path, inode, offset, size, data in self._read():
            if kind in "CK" or inode not in files:
                files[inode] = len(found)  # a number may have been another file's before
            old, _, new = path.rpartition("\0")
            found.append(Op(len(found), kind, new, old, files[inode], offset, size, data))
        return found

    def _read(self) -> Iterator[tuple[str, str, int, int, int, bytes]]:
        content, at = self.path.read_bytes(), 0
        while at < len(content):
            kind, length, inode, offset, size = _HEADER.unpack_from(content, at)
            at += _HEADER.size
            path = os.fsdecode(content[at : at + length])
            at += length
            held = 0 if chr(kind) in _BARE else size
            yield chr(kind), path, inode, offset, size, content[at : at + held]
            at += held


Choice = Callable[[Op], bool]
"""Whether something that was not synchronised has come to the disk all the same."""


def nothing(_: random.Random, _ops: list[Op]) -> Choice:
    return lambda op: False


def everything(_: random.Random, _ops: list[Op]) -> Choice:
    return lambda op: True


def prefix(chance: random.Random, ops: list[Op]) -> Choice:
    """All up to some moment, as a file system with a journal of data has it."""
    last = chance.randrange(len(ops) + 1)
    return lambda op: op.index < last


def by_place(chance: random.Random, ops: list[Op]) -> Choice:
    """Of each file, and of each directory, all or nothing or what came first."""
    until = {
        place: chance.choice((0, len(ops), chance.randrange(len(ops) + 1)))
        for place in sorted({op.place for op in ops}, key=str)
    }
    return lambda op: op.index < until[op.place]


def one_by_one(chance: random.Random, ops: list[Op]) -> Choice:
    """Each write and each name for itself."""
    chosen = {op.index for op in ops if chance.random() < 0.5}
    return lambda op: op.index in chosen


CHOICES: Final = (nothing, everything, prefix, by_place, one_by_one)


class State:
    """The files as they are found after a cut."""

    def __init__(self, ops: list[Op], chosen: Choice) -> None:
        """`ops`: up to the cut."""
        self.names: dict[str, int] = {}
        self.contents: dict[int, bytearray] = {}
        self.directories: set[str] = set()
        synced = _synced(ops)
        for op in ops:
            if op.kind not in "AS" and (op.index < synced.get(op.place, 0) or chosen(op)):
                self._apply(op)

    def _apply(self, op: Op) -> None:
        if op.kind in _NAMES:
            self._name(op)
            return
        content = self.contents.setdefault(op.file, bytearray())
        if op.kind == "M":
            content[:] = op.data
        elif op.kind == "T":
            del content[op.offset :]
            content.extend(bytes(op.offset - len(content)))
        else:
            content.extend(bytes(max(0, op.offset + (op.kind != "H") * op.size - len(content))))
            if op.kind != "E":
                end = min(op.offset + op.size, len(content))
                content[op.offset : end] = op.data or bytes(end - op.offset)

    def _name(self, op: Op) -> None:
        if op.kind == "U":
            self.names.pop(op.path, None)
            self.directories.discard(op.path)
        elif op.kind == "K":
            self.directories.add(op.path)
        else:
            if self.names.get(op.old) == op.file:
                del self.names[op.old]
            self.names[op.path] = op.file

    def write(self, root: str, target: Path) -> None:
        """Make it below `target`, which stands for `root`."""
        target.mkdir(mode=0o700)
        for path in sorted(self.directories - {root}):
            if self._is_reachable(path, root):
                (target / os.path.relpath(path, root)).mkdir(mode=0o700)
        for path, file in self.names.items():
            if self._is_reachable(path, root):
                made = target / os.path.relpath(path, root)
                made.touch(0o600)
                made.write_bytes(self.contents.get(file, b""))

    def _is_reachable(self, path: str, root: str) -> bool:
        parent = os.path.dirname(path)
        return parent == root or (parent in self.directories and self._is_reachable(parent, root))


def _synced(ops: list[Op]) -> dict[str | int, int]:
    """Of each file and directory: everything before this index is on the disk."""
    found: dict[str | int, int] = {}
    for op in ops:
        if op.kind == "S":
            found[op.file] = found[op.path] = op.index
    return found
