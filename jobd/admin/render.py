"""What the commands of `jobd` say, as lines; nothing here prints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET

from jobd.contract.models import DaemonStatus, Setting
from jobd.contract.states import Source, State
from jobd.contract.wording import counted

if TYPE_CHECKING:
    from jobd.admin.findings import Report


def status_lines(found: DaemonStatus) -> list[str]:
    """Of a daemon that runs."""
    draining = ", draining" if found.draining else ""
    memory = ", in memory only" if found.ephemeral else ""
    jobs = ", ".join(
        f"{found.jobs.get(state, 0)} {state}"
        for state in (
            State.RUNNING, State.PENDING, State.COMPLETED, State.FAILED, State.STOPPED,
        )
    )  # fmt: skip
    output = "" if found.output_bytes is None else f", output {size(found.output_bytes)}"
    lines = [
        (
            f"jobd {found.version} running, pid {found.pid}, up {_duration(found.uptime_s)}, "
            f"engine {found.engine}{draining}{memory}"
        ),
        f"workers  {found.busy} of {found.workers} busy",
        f"jobs     {jobs}",
        f"state    {_tilde(found.state_dir)} ({size(found.database_bytes)}{output})",
    ]
    if found.access_socket:
        lines.append(f"others   come in by {found.access_socket}")
    if found.error:
        lines.append(f"trouble  {found.error}; what waits is tried again by itself")
    return lines


def configuration_lines(file: str, source: Source, settings: Sequence[Setting]) -> Iterator[str]:
    """A key a line, as in TOML, with its source behind it."""
    from jobd.contract.configured import as_toml

    yield f"# {file} ({source})"
    words = [f"{one.key} = {as_toml(one.value)}" for one in settings]
    width = min(40, max(map(len, words), default=0))
    for one, said in zip(settings, words, strict=True):
        waits = one.after_restart is not UNSET
        later = f"; after jobd restart: {as_toml(one.after_restart)}" if waits else ""
        yield f"{said:{width}}  # {one.source}{later}"


def path_text(path: Path) -> str:
    """What is not UTF-8 becomes U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def size(count: int) -> str:
    """`count`: bytes."""
    from jobd.contract.sizes import text

    return text(count)


def _duration(seconds: float) -> str:
    from jobd.contract.durations import text

    return text(seconds)


def _tilde(path: str) -> str:
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path


def check_verdict(report: Report) -> str:
    """The last line of `jobd check`."""
    if report.findings:
        found = counted(len(report.findings), "finding")
        return f"jobd: {found} in {_tilde(report.database)} and its output"
    return (
        f"all is well: {counted(report.jobs or 0, 'job')},"
        f" {counted(report.outputs, 'output file')}, schema {report.schema},"
        f" {_tilde(report.database)}"
    )
