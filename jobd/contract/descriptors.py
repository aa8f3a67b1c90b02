"""The standard descriptors, 0 to 2, as whoever started us has left them."""

from __future__ import annotations

import os
from typing import Final

_WITHOUT: Final = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDWR))
"""What stands in for a closed one: input cannot be read, output cannot be written; errors get lost,
since there is nobody to tell.
"""


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
