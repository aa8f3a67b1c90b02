"""`jobd check`: a daemon could start here, the store is as it should be, all output is there, and
jobs could run on their engines.

It never writes. Whatever keeps a daemon from starting is told in the start's own words
(`jobd/store/obstacles.py`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import msgspec

from jobd.admin.findings import EngineSight, Finding, Report
from jobd.contract import config_file
from jobd.contract.config import Config
from jobd.contract.directories import Directory, Foreign
from jobd.contract.errors import JobdError, StoreFailed
from jobd.contract.paths import Paths, is_supervised, output_name
from jobd.contract.wording import counted
from jobd.engines import configuration, loading
from jobd.outputs.packed import SUFFIX, UNFINISHED, content_size
from jobd.outputs.patience import Patience
from jobd.store.database import SEE_CHECK
from jobd.store.inspection import RESTORE, Fault, Inspection
from jobd.store.losses import LOST_OUTPUT, Losses, decoded
from jobd.store.obstacles import StartConditions, obstacles
from jobd.store.readonly import open_untouched

_PATIENCE_S: Final = 10.0
"""Seconds that a directory of outputs may take to open: a file server may never answer."""
_MOST: Final = 100
"""Findings of one kind about files that are told."""
_NAME: Final = re.compile(r"(\d+)\.(\d+)\.log(\.zst)?")
_FORGET: Final = "nothing can be done about it; have it forgotten: jobd check --forget-lost"
_LOST: Final = "put it back from a backup if you have one; the job itself is not affected"
_SILENT: Final = "its file server may be down; check again when that answers"
_AWAY: Final = "mount what it lies on, or put it back from a backup; jobs are not affected"


def check(paths: Paths, engine: str | None = None) -> Report:
    """Look at everything once. `engine`: that of the daemon that runs, if any.

    Raises: StoreFailed (there is no database, and need not be).
    """
    while True:
        running = is_supervised(paths.socket)
        report = _check(paths, running=running)
        # One that started or stopped meanwhile makes faults of what is none.
        if not report.findings or is_supervised(paths.socket) == running:
            return _with_engines(report, paths, engine)


def _with_engines(report: Report, paths: Paths, running: str | None) -> Report:
    """Where the configuration has sense: else that is told already."""
    findings, seen = list(report.findings), list(report.engines)
    with suppress(JobdError):
        for name, sight in configuration.look(config_file.load(paths.config), paths, running):
            text = f"engine {name}: {sight.text}"
            if sight.next_step:
                findings.append(Finding("engine", text, sight.next_step))
            else:
                seen.append(EngineSight(name, sight.text))
    return msgspec.structs.replace(report, findings=findings, engines=seen)


def _check(paths: Paths, *, running: bool) -> Report:
    settings, wrong = _config(paths)
    findings = [*wrong, *_access(paths)]
    in_the_way = [] if running else _obstacles(paths, settings)
    findings += in_the_way
    if not paths.database.exists():
        if not findings:
            raise StoreFailed(
                f"there is no database at {paths.database}. A new one is made by: jobd start"
            )
        return _report(paths, running=running, findings=findings)
    looked = _Look(paths, None if wrong else settings, running=running)
    # What is in the way of a start is not told twice.
    findings += [
        finding
        for finding in looked.into_database()
        if not any(finding.text in told.text for told in in_the_way)
    ]
    return _report(paths, running=running, findings=findings, looked=looked)


def _report(
    paths: Paths, *, running: bool, findings: list[Finding], looked: _Look | None = None
) -> Report:
    return Report(
        database=os.fsencode(paths.database).decode("utf-8", "replace"),
        running=running,
        schema=looked.schema if looked else None,
        jobs=looked.jobs if looked else None,
        outputs=looked.files.looked_for if looked else 0,
        findings=findings,
        notes=looked.notes + looked.files.notes if looked else [],
    )


def _config(paths: Paths) -> tuple[Config, list[Finding]]:
    """What a start would read, engines and their sections included, and what sends messages."""
    found = Config()
    try:
        found = config_file.load(paths.config)
        configuration.check(found, paths.config)
    except JobdError as error:
        return found, [Finding("configuration", error.message, f"mend it in {paths.config}")]
    return found, []


def _obstacles(paths: Paths, settings: Config) -> list[Finding]:
    """What keeps a daemon from starting."""
    conditions = StartConditions(
        paths=paths,
        same_boot=loading.ran_since_boot(settings.engines(), paths) is True,
        is_private=settings.daemon.state_is_private,
    )
    return [*_foreign(paths), *(_finding("database", fault) for fault in obstacles(conditions))]


def _foreign(paths: Paths) -> Iterator[Finding]:
    """Directories in which somebody else could exchange what a daemon writes."""
    for path in (paths.output, paths.progress, paths.scripts):
        try:
            Directory(path).now()
        except Foreign as error:
            yield Finding(
                "access", str(error.strerror), f"make it yours alone, or move {path} away"
            )
        except OSError:
            continue  # a start makes it, or says why it cannot


class _Look:
    """Into the database, and at what lies beside it."""

    def __init__(self, paths: Paths, settings: Config | None, *, running: bool) -> None:
        """`settings`: None: they have no sense."""
        self._paths = paths
        self._running = running
        self.files = _Files(paths, settings)
        self.schema: int | None = None
        self.jobs: int | None = None
        self.notes: list[str] = []

    def into_database(self) -> list[Finding]:
        try:
            with open_untouched(self._paths.database, running=self._running) as connection:
                return self._within(Inspection(connection))
        except StoreFailed as error:
            text = error.message.removesuffix(f". {SEE_CHECK}")
            return [Finding("database", text, RESTORE)]

    def _within(self, inspection: Inspection) -> list[Finding]:
        self.schema = inspection.version()
        wrong = inspection.structure()
        if wrong:
            return [Finding("database", _one_line(text), RESTORE) for text in wrong]
        other = inspection.version_fault()
        if other is not None:
            return [_finding("database", other)]
        if inspection.outdated():
            self.notes.append(f"schema {self.schema} is brought up to date by the next: jobd start")
            return []
        findings = [_finding("record", fault) for fault in inspection.faults()]
        findings += self.files.faults(inspection)
        self.jobs = inspection.jobs()
        self.notes += [] if self._running else inspection.leftovers()
        return findings


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

    def __init__(self, paths: Paths, settings: Config | None) -> None:
        """`settings`: None: they have no sense."""
        self._paths = paths
        self._settings = settings
        self._roots: dict[str, Path] = {}
        """Where output of an engine's attempts lies; of one that is not in it nobody knows."""
        self.looked_for = 0
        self.notes: list[str] = []

    def faults(self, inspection: Inspection) -> Iterator[Finding]:
        yield from self._away(inspection.engines())
        # The directories first: whatever is in them now was in the store before.
        roots = {self._paths.output, *self._roots.values()}
        there = {root: sorted(set(self._there(root))) for root in sorted(roots)}
        losses = decoded(inspection.setting(LOST_OUTPUT))
        yield from self._lost(losses)
        yield from _capped(self._missing(inspection, losses))
        for root, files in there.items():
            yield from _capped(self._unknown(inspection, root, files))

    def _away(self, engines: Sequence[str]) -> Iterator[Finding]:
        """A directory that is not there is one finding: each output in it would hide others.

        `engines`: those with which there must be output.
        """
        sections = self._settings.engine if self._settings else None
        named = self._settings.engines() if self._settings else ()
        for engine in sorted({*engines, *named}):
            if (root := loading.outputs(engine, sections, self._paths)) is None:
                continue
            try:
                found = Patience(_PATIENCE_S).of(partial(_is_there, root))
            except OSError as error:
                if engine in engines:
                    text = f"all output of jobs on {engine} is missing: {root}: {error.strerror}"
                    yield Finding("output", text, _AWAY)
                continue
            if found:
                self._roots[engine] = root
            elif engine in engines:
                text = f"no output of jobs on {engine} was looked for: {root} does not answer"
                yield Finding("output", text, _SILENT)

    def _lost(self, losses: Losses) -> Iterator[Finding]:
        """All that a power cut took is one finding: a hundred would hide others."""
        if lost := losses.in_all():
            yield Finding("output", lost, _FORGET)

    def _missing(self, inspection: Inspection, lost: Losses) -> Iterator[Finding]:
        for job, outputs in groupby(inspection.outputs(), lambda output: output.job):
            every = list(outputs)
            attempts = [
                (root, output) for output in every if (root := self._roots.get(output.engine))
            ]
            self.looked_for += sum(output.surely for _, output in attempts)
            sizes = [_size(root / output_name(job, output.attempt)) for root, output in attempts]
            gone = [
                root / output_name(job, output.attempt)
                for (root, output), size in zip(attempts, sizes, strict=True)
                # It may have been removed since its row was read.
                if size is None and output.surely and inspection.keeps(job, output.attempt)
            ]
            for path in gone:
                yield Finding("output", f"the output of job {job} is missing: {path}", _LOST, job)
            total, recorded = sum(size or 0 for size in sizes), every[0].recorded
            short = len(attempts) == len(every) and total < recorded and job not in lost.jobs
            if short and not gone and inspection.keeps(job, every[-1].attempt):
                yield Finding(
                    "output", f"the output of job {job} was cut: {total} of {recorded} bytes",
                    _LOST, job,
                )  # fmt: skip

    def _there(self, root: Path) -> Iterator[tuple[int, int]]:
        """Job and attempt of every file of ours."""
        strange = 0
        for _, _, names in os.walk(root):
            for name in names:
                match = _NAME.fullmatch(name)
                if match:
                    yield int(match[1]), int(match[2])
                elif not name.endswith((".cut", ".cut.new", UNFINISHED)):
                    strange += 1
        if strange:
            found = f"{counted(strange, 'file')} in {root}"
            self.notes.append(f"{found} of another name than jobd gives")

    def _unknown(
        self, inspection: Inspection, root: Path, there: list[tuple[int, int]]
    ) -> Iterator[Finding]:
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
            output = root / output_name(job, attempt)
            for path in filter(Path.exists, (output, _packed(output))):
                yield Finding(
                    "output", f"{path} belongs to no job", f"it only takes space: rm {path}", job
                )


def _is_there(directory: Path) -> bool:
    """True, or raises: OSError. It is opened: a file server's word of a while ago is none."""
    os.scandir(directory).close()
    return True


def _size(output: Path) -> int | None:
    """None: it is not there."""
    with suppress(OSError):
        return output.stat().st_size
    with suppress(OSError), _packed(output).open("rb") as packed:
        return content_size(packed.fileno()) or 0
    return None


def _packed(output: Path) -> Path:
    return output.with_name(output.name + SUFFIX)


def _capped(findings: Iterator[Finding]) -> Iterator[Finding]:
    yield from islice(findings, _MOST)
    if next(findings, None) is not None:
        yield Finding(
            "output", f"there are more than {_MOST} like the last one", "mend these first"
        )
