"""Shell lines that would empty their own output: `> /dev/stderr` opens a file, and truncates it.

On a terminal that does no harm. A job's stdout and stderr are one file, and so all that it has
printed before is gone (Linux opens the file anew, proc(5); O_TRUNC, open(2)).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from jobd.contract.models import Command

_OWN: Final = rb"(/dev/(?:stdout|stderr|fd/[12])|/proc/self/fd/[12])(?![\w/.-])"
_EMPTIES: Final = (
    rb"(?<!>)>\|?[ \t]*[\"']?" + _OWN
    + rb"|\btee +(?!-[a-z]*a|--append)(?:[^|;&<>\n]{0,200} )?" + _OWN
)  # fmt: skip
"""`>`, `2>`, `&>` and `>|`, but not `>>`; and tee(1) without `-a`."""


def emptied(commands: Iterable[Command]) -> str | None:
    """The name under which one of the shell lines would empty its output; None: none does."""
    for command in commands:
        line = command.argv[0] if command.shell else b""
        # Most lines name none: they are spared the search, and most calls the pattern itself.
        if (b"/dev/" in line or b"/proc/" in line) and (found := re.search(_EMPTIES, line)):
            return os.fsdecode(found[1] or found[2])
    return None
