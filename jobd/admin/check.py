"""`jobd check`: is the store as it should be, and are the output files there? It never writes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from jobd.contract.config_file import load
from jobd.contract.errors import JobdError, StoreFailed
from jobd.contract.paths import Paths, is_supervised
from jobd.contract.wording import counted
from jobd.engines import loading as engines
from jobd.engines.local.run_table import is_of_this_boot
from jobd.store.damage import LOG_WAS_CUT, log_was_cut
from jobd.store.database import SEE_CHECK
from jobd.store.inspection import RESTORE, Fault, Inspection
from jobd.store.readonly import log_of, open_untouched, size

_MOST: Final = 100
"""Findings of one kind about files that are told."""
_NAME: Final = re.compile(r"(\d+)\.(\d+)\.log")
_HERE: Final = "local"
"""The engine whose jobs leave their output in files of ours."""
_LOST: Final = "put it back from a backup if you have one; the job itself is not affected"


class Finding(Struct, frozen=True):
    """Something that is wrong."""

    kind: str
    """`database`, `record`, `output`, `access` or `configuration`."""
    text: str
    next_step: str
    job: int | None = None


class Report(Struct, frozen=True):
    """What a check has found."""

    database: str
    running: bool
    """Whether a daemon was at work meanwhile."""
    schema: int | None
    jobs: int | None
    outputs: int
    """Output files that were looked for."""
    findings: list[Finding]
    notes: list[str]
    """What is not wrong, but not done either."""


def check(paths: Paths) -> Report:
    """Look at everything once. Raises: StoreFailed (there is no database)."""
    while True:
        running = is_supervised(paths.socket)
        report = _check(paths, running=running)
        # One that started or stopped meanwhile makes faults of what is none.
        if not report.findings or is_supervised(paths.socket) == running:
            return report


def _check(paths: Paths, *, running: bool) -> Report:
    if not paths.database.exists():
        raise StoreFailed(f"there is no database at {paths.database}{_without_database(paths)}")
    findings, notes = [*_configuration(paths), *_access(paths)], list[str]()
    if not running and log_was_cut(paths.database, same_boot=is_of_this_boot(paths.board)):
        findings.append(Finding("database", LOG_WAS_CUT, RESTORE))
    schema = jobs = None
    files = _Files(paths)
    try:
        with open_untouched(paths.database, running=running) as connection:
            inspection = Inspection(connection)
            schema = inspection.version()
            wrong = inspection.structure()
            findings += [Finding("database", _one_line(text), RESTORE) for text in wrong]
            other = inspection.version_fault()
            if other is not None:
                findings.append(_finding("database", other))
            elif inspection.outdated():
                notes.append(f"schema {schema} is brought up to date by the next: jobd start")
            elif not wrong:
                findings += [_finding("record", fault) for fault in inspection.faults()]
                findings += files.faults(inspection)
                jobs = inspection.jobs()
                notes += [] if running else inspection.leftovers()
    except StoreFailed as error:
        # Which command says more is no news to whoever has called it.
        text = error.message.removesuffix(f". {SEE_CHECK}")
        findings.append(Finding("database", text, RESTORE))
    return Report(
        database=os.fsencode(paths.database).decode("utf-8", "replace"), running=running,
        schema=schema, jobs=jobs, outputs=files.looked_for, findings=findings,
        notes=notes + files.notes,
    )  # fmt: skip


def _configuration(paths: Paths) -> Iterator[Finding]:
    """What would keep `jobd start` from starting, engines and their sections included."""
    try:
        config = load(paths.config)
        engines.check(config.engines(), config.engine)
    except JobdError as error:
        yield Finding("configuration", error.message, f"mend it in {paths.config}")


def _without_database(paths: Paths) -> str:
    """What the start does there."""
    try:
        output = bool(os.listdir(paths.output))
    except FileNotFoundError:
        output = False
    if output or size(log_of(paths.database)):
        return (
            ", and what belongs to it is there. jobd start refuses that: restore a backup, or move "
            "its output and its log away to begin anew"
        )
    return ". A new one is made by: jobd start"


def _finding(kind: str, fault: Fault) -> Finding:
    return Finding(kind, fault.text, fault.step, fault.job)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _access(paths: Paths) -> Iterator[Finding]:
    """Nobody else may read what holds environments and output."""
    for path, wanted in (
        (paths.state, 0o700), (paths.output, 0o700), (paths.database, 0o600),
        (Path(f"{paths.database}-wal"), 0o600), (paths.log, 0o600),
    ):  # fmt: skip
        try:
            found = path.stat()
        except OSError:
            continue
        if stat.S_IMODE(found.st_mode) & ~wanted:
            yield Finding(
                "access", f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, open to others",
                f"chmod {wanted:o} {path}",
            )  # fmt: skip


class _Files:
    """Output files beside what the store knows of them."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self.looked_for = 0
        self.notes: list[str] = []

    def faults(self, inspection: Inspection) -> Iterator[Finding]:
        # The directory first: whatever is in it now was in the store before.
        there = sorted(self._there())
        yield from _capped(self._missing(inspection))
        yield from _capped(self._unknown(inspection, there))

    def _missing(self, inspection: Inspection) -> Iterator[Finding]:
        for job, outputs in groupby(inspection.outputs(), lambda output: output.job):
            every = list(outputs)
            attempts = [output for output in every if output.engine == _HERE]
            self.looked_for += sum(output.surely for output in attempts)
            sizes = [self._size(job, output.attempt) for output in attempts]
            gone = [
                output.attempt
                for output, size in zip(attempts, sizes, strict=True)
                # It may have been removed since its row was read.
                if size is None and output.surely and inspection.keeps(job, output.attempt)
            ]
            for attempt in gone:
                path = self._paths.output_of(job, attempt)
                yield Finding("output", f"the output of job {job} is missing: {path}", _LOST, job)
            total, recorded = sum(size or 0 for size in sizes), every[0].recorded
            short = attempts == every and total < recorded
            if short and not gone and inspection.keeps(job, attempts[-1].attempt):
                yield Finding(
                    "output", f"the output of job {job} was cut: {total} of {recorded} bytes",
                    _LOST, job,
                )  # fmt: skip

    def _size(self, job: int, attempt: int) -> int | None:
        try:
            return self._paths.output_of(job, attempt).stat().st_size
        except OSError:
            return None

    def _there(self) -> Iterator[tuple[int, int]]:
        """Job and attempt of every file of ours."""
        strange = 0
        for _, _, names in os.walk(self._paths.output):
            for name in names:
                match = _NAME.fullmatch(name)
                if match:
                    yield int(match[1]), int(match[2])
                elif not name.endswith((".cut", ".cut.new")):
                    strange += 1
        if strange:
            found = f"{counted(strange, 'file')} in {self._paths.output}"
            self.notes.append(f"{found} of another name than jobd gives")

    def _unknown(self, inspection: Inspection, there: list[tuple[int, int]]) -> Iterator[Finding]:
        last = inspection.last_id()
        lost = sorted({job for job, _ in there if job > last})
        if lost:
            yield Finding(
                "record",
                f"the database knows no job above {last}, and there is output of job {lost[-1]}: "
                "what was submitted after it is missing", RESTORE,
            )  # fmt: skip
        for job, attempt in there:
            if job > last or inspection.has_attempt(job, attempt):
                continue
            path = self._paths.output_of(job, attempt)
            if path.exists():
                yield Finding(
                    "output", f"{path} belongs to no job", f"it only takes space: rm {path}", job
                )


def _capped(findings: Iterator[Finding]) -> Iterator[Finding]:
    yield from islice(findings, _MOST)
    if next(findings, None) is not None:
        yield Finding(
            "output", f"there are more than {_MOST} like the last one", "mend these first"
        )
