"""What a program has of whoever started it, as that has left it: streams and environment."""

from __future__ import annotations

import os
from typing import Final

_WITHOUT: Final = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDWR))
"""What stands in for a closed one: input cannot be read, output cannot be written; errors get lost,
since there is nobody to tell.
"""
_COERCED: Final = b"LC_CTYPE"


def restore_environment() -> None:
    """Undo what the interpreter did to the environment that we hand on.

    In the C locale it sets LC_CTYPE, also over what was there (PEP 538). What it was given still
    stands in `/proc/self/environ`, see proc(5); where that cannot be read, all stays as it is.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return
    found = [entry for entry in given if entry.startswith(_COERCED + b"=")]
    os.environb.pop(_COERCED, None)
    if found:
        os.environb[_COERCED] = found[0].partition(b"=")[2]


def fill_standard() -> None:
    """Open those that are closed: else the next file or pipe becomes our output.

    They are opened such that who uses them still gets EBADF (as gnulib's `stdopen` does it). To be
    called before anything else is opened, while there is one thread. Raises: OSError.
    """
    for wanted, flags in _WITHOUT:
        try:
            os.fstat(wanted)
        except OSError:
            # The lowest that is free (open(2)), and those below it are taken.
            os.set_inheritable(os.open(os.devnull, flags), True)
