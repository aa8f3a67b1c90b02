"""`jobd log`: the daemon's own log, with what was before it was begun anew."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import click

from jobd.admin import streams
from jobd.admin.here import instance
from jobd.contract.errors import JobdError
from jobd.contract.paths import Paths

_LINES: Final = click.IntRange(min=0)


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("-n", "--lines", type=_LINES, metavar="N", default=50, help="The last N lines (50).")
def log(follow: bool, lines: int) -> None:  # noqa: FBT001 - click
    """The daemon's own log.

    \b
    Example:
        jobd log -f
    """
    paths = instance()
    path = paths.log
    if not path.exists():
        raise JobdError(
            f"there is no log at {path} yet; that of a service is in the journal: "
            "journalctl --user -u jobd (of the system: without --user)"
        )
    _tell_where_it_goes(paths)
    try:
        for older, count in _older(path, lines):
            if code := _tail(["-n", str(count), "--", str(older)]):
                sys.exit(code)
        # tail(1) follows a growing, replaced or truncated file better than we would.
        sys.exit(_tail(["-n", str(lines), *(["-F"] if follow else []), "--", str(path)]))
    except KeyboardInterrupt:
        sys.exit(0)


def _tell_where_it_goes(paths: Paths) -> None:
    """The daemon that runs may have its log elsewhere: then this is that of an earlier one.

    The kernel is asked, and not the daemon: it may be why somebody looks here that this hangs.
    """
    from jobd.admin import lock_holders

    with lock_holders.holders(paths.lock) as found, contextlib.suppress(OSError):
        for holder in found[:1]:
            stderr = f"/proc/{holder.pid}/fd/2"
            if not os.path.samefile(stderr, paths.log):
                where = "the journal" if os.readlink(stderr).startswith("socket:") else "its stderr"
                streams.notice(f"the log of jobd, pid {holder.pid}, goes to {where}; this is older")


def _tail(words: list[str]) -> int:
    """The exit code of tail(1) as a shell has it; 0 where its reader has gone, who wants no more.

    On a terminal what it prints is made fit for that: not only the daemon writes to its log, but
    also whatever has its stderr.
    """
    # The system's own first: in the PATH that `su -m` leaves to root, a user's may stand before it.
    command = [shutil.which("tail", path=os.defpath) or "tail", *words]
    if not sys.stdout.isatty():
        code = subprocess.run(command, check=False).returncode
        return 128 - code if code < 0 and code != -signal.SIGPIPE else max(code, 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            streams.line(line.decode("utf-8", "replace").rstrip("\n"))
    return process.returncode


def _older(path: Path, lines: int) -> list[tuple[Path, int]]:
    """Where the log has been begun anew: the old logs, and how much of each is still wanted."""
    from jobd.system.log_file import KEPT

    found: list[tuple[Path, int]] = []
    file = path
    for number in range(1, KEPT + 1):
        lines -= _lines_of(file)
        file = path.with_name(f"{path.name}.{number}")
        if lines <= 0 or not file.exists():
            break
        found.insert(0, (file, lines))
    return found


def _lines_of(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream)
