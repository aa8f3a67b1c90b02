"""`submit --script`: a copy of the file, and the `#JOBCTL` lines at its head."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Final

from jobctl.submission import job_options
from jobctl.submission.request import Asked, name_of, read_file
from jobd.contract import text_file
from jobd.contract.errors import JobdError, WrongUsage
from jobd.contract.models import MAX_SCRIPT, Command

MARK: Final = b"#JOBCTL"


def read(file: str, arguments: Sequence[bytes]) -> tuple[Command, Asked]:
    """The command that runs a copy of it, and what the script asks for itself.

    Raises: JobdError (unreadable, empty, too large), BadRequest (a wrong `#JOBCTL` line).
    """
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
    return Command(argv=[name, *arguments], script=content), _asked(shown, content)


def _asked(file: str, content: bytes) -> Asked:
    """Later lines win over earlier ones; what may be repeated adds up."""
    found = [_parse(file, number, text) for number, text in _marked(content)]
    return reduce(lambda earlier, later: later.behind(earlier), found, Asked())


def _marked(content: bytes) -> Iterator[tuple[int, str]]:
    """What stands behind the mark, up to the first line that is neither blank nor a comment."""
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.strip()
        if line and not line.startswith(b"#"):
            return
        word, *rest = line.split(None, 1) or [b""]
        if word == MARK:
            yield number, os.fsdecode(b"".join(rest))


def _parse(file: str, number: int, text: str) -> Asked:
    where = f"{file}, line {number}"
    try:
        return job_options.parse(shlex.split(text, comments=True))
    except ValueError as error:
        raise WrongUsage(f"{where}: {str(error).lower()}") from error
    except WrongUsage as error:
        raise WrongUsage(f"{where}: {error.message}") from error
