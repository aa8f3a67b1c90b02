"""Where the traceback of a defect goes, so that the screen stays readable."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from importlib.metadata import version
from pathlib import Path

from jobd.contract import paths
from jobd.contract.ownership import NotOurs, open_owned
from jobd.contract.version import PROTOCOL, VERSION


def write(error: BaseException) -> str:
    """Write versions and traceback to a file of our own; give its path."""
    text = _text(error)
    name = f"jobctl-crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    for directory in (paths.locate().state, Path(tempfile.gettempdir())):
        try:
            _create(directory / name, text)
        except (OSError, NotOurs):
            continue
        return str(directory / name)
    return f"this:\n{text}"


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


def _text(error: BaseException) -> str:
    """The arguments are left out: they may hold secrets."""
    return (
        f"jobctl {VERSION}, protocol {PROTOCOL}\n"
        f"Python {sys.version}\n{platform.platform()}\n"
        f"click {version('click')}, rpyc {version('rpyc')}, msgspec {version('msgspec')}\n"
        f"command: {next(iter(sys.argv[1:]), '')}\n\n"
        f"{''.join(traceback.format_exception(error))}"
    )
