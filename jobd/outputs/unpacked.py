"""Which outputs lie as they were written: by the names of their files, folder by folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from jobd.contract.directories import Directory

_NAME: Final = re.compile(r"(\d{1,19})\.(\d{1,19})\.log")
_SETTLED_NS: Final = 2_000_000_000
"""A folder that was changed later than that before it was read may have been changed behind it, and
bear the same time.
"""

Outputs = list[tuple[int, int]]
"""Jobs and attempts."""


class Unpacked:
    """For one thread. Folders in which there is nothing to do are passed by until a file comes."""

    def __init__(self, output: Directory) -> None:
        self._output = output
        self._settled: dict[str, int] = {}
        """When a folder was changed last, in nanoseconds since the epoch."""

    def folders(self) -> Iterator[tuple[str, int, Outputs]]:
        """Those with outputs that are not compressed; with the number for `settle`.

        Raises: OSError.
        """
        try:
            names = self._output.names()
        except FileNotFoundError:
            return
        self._settled = {name: self._settled[name] for name in names if name in self._settled}
        for name in sorted(filter(str.isdecimal, names), key=int):
            # The output may be deleted by now.
            with suppress(FileNotFoundError):
                changed = os.stat(f"{self._output.path}/{name}").st_mtime_ns
                if self._settled.get(name) != changed:
                    yield name, changed, self._in(name)

    def _in(self, folder: str) -> Outputs:
        names = Directory(f"{self._output.path}/{folder}").names()
        found = filter(None, map(_NAME.fullmatch, names))
        return sorted((int(match[1]), int(match[2])) for match in found)

    def settle(self, folder: str, changed: int) -> None:
        """As it was then, nothing is to be done in it, nor will be."""
        if time.time_ns() - changed > _SETTLED_NS:
            self._settled[folder] = changed
