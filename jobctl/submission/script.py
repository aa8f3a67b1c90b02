"""`submit --script`: a copy of the file, and the `#JOBCTL` lines at its head.

A script that has none of them may have been written for Slurm: then its `#SBATCH` lines are read,
as far as they have a counterpart.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Final

from msgspec import Struct

from jobctl.submission import job_options
from jobctl.submission.request import Asked, name_of, read_file
from jobd.contract import text_file
from jobd.contract.errors import JobdError, WrongUsage
from jobd.contract.models import MAX_SCRIPT, Command

MARK: Final = b"#JOBCTL"
SLURM: Final = b"#SBATCH"


class Script(Struct, frozen=True):
    """The command that runs a copy of a script, and what the script asks for itself."""

    command: Command
    asked: Asked
    left_out: list[str]
    """What its `#SBATCH` lines ask for, and nobody here can give."""


def read(file: str, arguments: Sequence[bytes]) -> Script:
    """Raises: JobdError (unreadable, empty, too large), WrongUsage (a wrong line at its head)."""
    content, shown = read_file(file, MAX_SCRIPT + 1), name_of(file)
    if not content.strip():
        raise JobdError(f"{shown}: it is empty, nothing submitted")
    if len(content) > MAX_SCRIPT:
        raise JobdError(
            f"{shown}: larger than {MAX_SCRIPT >> 10:,} KiB; submit it as a command instead: "
            f"jobctl submit -- {shlex.quote(file)}"
        )
    content = text_file.plain(content, shown)
    name = b"stdin" if file == "-" else os.fsencode(file)
    command = Command(argv=[name, *arguments], script=content)
    lines = [*_marked(shown, content, MARK)]
    left_out: list[str] = []
    if not lines:
        lines, left_out = _of_slurm(_marked(shown, content, SLURM))
    found = [_parse(where, words) for where, words in lines]
    # Later lines win over earlier ones; what may be repeated adds up.
    asked = reduce(lambda earlier, later: later.behind(earlier), found, Asked())
    return Script(command, asked, left_out)


def _marked(file: str, content: bytes, mark: bytes) -> Iterator[tuple[str, list[str]]]:
    """The words behind the mark, up to the first line that is neither blank nor a comment, and
    where they stand.
    """
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.strip()
        if line and not line.startswith(b"#"):
            return
        word, *rest = line.split(None, 1) or [b""]
        if word == mark:
            where = f"{file}, line {number}"
            try:
                yield where, shlex.split(os.fsdecode(b"".join(rest)), comments=True)
            except ValueError as error:
                raise WrongUsage(f"{where}: {str(error).lower()}") from error


def _of_slurm(
    lines: Iterable[tuple[str, list[str]]],
) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """The lines in our words, and what has none here."""
    from jobctl.parsing import slurm

    ours: list[tuple[str, list[str]]] = []
    left_out: list[str] = []
    reader = slurm.Reader()
    for where, words in lines:
        found = reader.line(words)
        ours.append((where, found.ours))
        left_out += found.left_out
    return ours, left_out


def _parse(where: str, words: Sequence[str]) -> Asked:
    try:
        return job_options.parse(words)
    except WrongUsage as error:
        raise WrongUsage(f"{where}: {error.message}") from error
