"""What runs a file, as far as its first bytes and its name tell."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Final

HEAD: Final = 256
"""Bytes of a file in which its `#!` line ends; the kernel takes no more (execve(2))."""
_INTERPRETERS: Final[dict[bytes, tuple[bytes, ...]]] = {
    b".py": (b"python", b"python3"),
    b".r": (b"Rscript",),
    b".jl": (b"julia",),
    b".pl": (b"perl",),
    b".rb": (b"ruby",),
    b".js": (b"node",),
    b".bash": (b"bash",),
}
"""By the end of a file's name."""

Found = Callable[[bytes], bytes | None]
"""Where a program is in the job's `$PATH`."""


def head(path: bytes) -> bytes:
    """The first bytes; none of what is no file, and may wait for somebody who writes."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def interpreter_of(path: bytes, found: Found) -> str | None:
    """What runs a file that does not say so itself: the one that is there, or the usual one.

    None: its name does not tell either.
    """
    names = _INTERPRETERS.get(os.path.splitext(path)[1].lower())
    if names is None or head(path).startswith(b"#!"):
        return None
    return os.fsdecode(next((name for name in names if found(name)), names[0]))


def how_it_runs(path: bytes, shown: str, found: Found) -> str | None:
    """What to write for a file of the job's directory; None: it is no program."""
    begin, script = head(path), f"jobctl submit --script {shown}"
    itself = f"./{shown}" if os.access(path, os.X_OK) else None
    if begin.startswith(b"#!"):
        return f"{itself}, or {script}" if itself else script
    interpreter = interpreter_of(path, found)
    if interpreter is not None:
        return f"{interpreter} {shown}"
    # Without such a line /bin/sh runs the copy of a script.
    is_text = b"\0" not in begin and not begin.startswith(b"\x7fELF")
    return script if is_text and os.path.splitext(path)[1] in (b"", b".sh") else itself
