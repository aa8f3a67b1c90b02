"""Rows of a table that wait for the last of them to be known: on the disk, where they are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import IO, Final

from jobctl.render import text
from jobd.contract.errors import JobdError

CHUNK: Final = 1000
"""Rows that are in memory at a time."""


class Spool:
    """Rows in their order; texts that are `printable`, and so hold no NUL and no line feed.

    Closed by whoever made it, which deletes what is on the disk.
    """

    def __init__(self, headers: Sequence[str]) -> None:
        self._new: list[Sequence[str]] = []
        self._file: IO[bytes] | None = None
        self._widths = [text.columns(cell) for cell in headers]

    def add(self, row: Sequence[str]) -> None:
        """Raises: JobdError (there is no room for more)."""
        self._new.append(row)
        if len(self._new) >= CHUNK:
            self._put_away()

    def widths(self) -> list[int]:
        """What each column of the rows so far takes on a terminal."""
        if self._new:
            found = [_width(cells) for cells in zip(*self._new, strict=True)]
            self._widths = [*map(max, self._widths, found)]
        return self._widths

    def chunks(self) -> Iterator[list[Sequence[str]]]:
        """All rows, so many at a time."""
        if self._file is not None:
            self._file.seek(0)
            while lines := list(islice(self._file, CHUNK)):
                yield [line[:-1].decode().split("\0") for line in lines]
        if self._new:
            yield self._new

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what found no room still finds none
                self._file.close()

    def _put_away(self) -> None:
        import tempfile

        self.widths()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="jobctl-")  # noqa: SIM115 # see close
            self._file.writelines(b"%s\n" % "\0".join(row).encode() for row in self._new)
            self._file.flush()
        except OSError as error:
            raise JobdError(
                f"no room for so long a table in {tempfile.gettempdir()}: {error.strerror}; "
                "--format csv needs none, and TMPDIR names another place"
            ) from error
        self._new = []


def _width(cells: Sequence[str]) -> int:
    measure = len if "".join(cells).isascii() else text.columns
    return max(map(measure, cells))
