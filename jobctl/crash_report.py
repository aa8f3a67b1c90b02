"""Where the traceback of a defect goes, so that the screen stays readable."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from jobd.contract import paths
from jobd.contract.errors import JobdError
from jobd.contract.ownership import open_owned
from jobd.contract.version import PROTOCOL, VERSION
from jobd.contract.wording import printable


def write(report: Sequence[str]) -> str | None:
    """Write its lines to a file of our own; give its path, None where no file can be written."""
    text = "".join(f"{line}\n" for line in report)
    name = f"jobctl-crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    for place in (_state, _temporary):
        try:
            path = place() / name
            _create(path, text)
        except (OSError, JobdError):
            continue
        return str(path)
    return None


def _state() -> Path:
    return paths.locate().state


def _temporary() -> Path:
    return Path(tempfile.gettempdir())


def _create(path: Path, text: str) -> None:
    """Raises: NotOurs (others can change the way to it: a link would lead elsewhere), OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    directory = open_owned(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        descriptor = os.open(path.name, flags, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def report(error: BaseException) -> list[str]:
    """Versions and traceback, line by line, as fit for a terminal as what is printed.

    The arguments are left out: they may hold secrets.
    """
    text = (
        f"jobctl {VERSION}, protocol {PROTOCOL}\n"
        f"Python {sys.version}\n{platform.platform()}\n"
        f"click {version('click')}, rpyc {version('rpyc')}, msgspec {version('msgspec')}\n"
        f"command: {next(iter(sys.argv[1:]), '')}\n\n"
        f"{''.join(traceback.format_exception(error)).rstrip()}"
    )
    return [printable(line) for line in text.split("\n")]
