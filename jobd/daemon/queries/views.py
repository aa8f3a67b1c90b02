"""Rows as clients see them."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from jobd.contract.models import Attempt, Event, Job, Recipe
from jobd.contract.states import State
from jobd.core.usage import Usage
from jobd.daemon.jobs.specs import recipe_of
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.outputs.workspace import Stored, Workspaces
from jobd.store.command_lines import command_line, text
from jobd.store.reader import Reader
from jobd.store.records import AttemptRow, EventRow, JobRow, Parent, Ran, Spec
from jobd.system.clock import now_us


def moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


def _unmet(row: JobRow, parents: Sequence[Parent]) -> list[Parent]:
    """Those that it waits for now."""
    return [parent for parent in parents if row.state is State.PENDING and not parent.met]


def _moment(us: int | None) -> datetime | None:
    return None if us is None else moment(us)


def _seconds(us: int | None) -> float | None:
    return None if us is None else us / 1e6


def path_text(path: Path | str) -> str:
    return text(os.fsencode(path))


def exact_path(path: str) -> bytes | None:
    """A path that is no text, as it is; None: `path_text` is."""
    name = os.fsencode(path)
    return None if text(name).encode() == name else name


class Views:
    """What is not on disk before a job ends: what it `ran_as`, `left_of` it, in seconds,
    `why_stuck` it is, if it was told to end and cannot be ended, and what is `used_by` those of
    some jobs that run.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        shell: str,
        ran_as: Callable[[int], Ran],
        left_of: Callable[[int], float | None],
        why_stuck: Callable[[int], str | None],
        used_by: Callable[[Sequence[int]], Mapping[int, Usage]],
    ) -> None:
        self._workspaces = workspaces
        self._shell = shell
        self._ran_as = ran_as
        self._left_of = left_of
        self._why_stuck = why_stuck
        self._used_by = used_by

    def job(self, row: JobRow, now: int, reason: str | None, parents: Sequence[Parent]) -> Job:
        """`reason`: as it is just now. `parents`: what it was told to wait for."""
        spec, argv, running = row.spec, self._argv(row.spec), row.state is State.RUNNING
        started, end = row.started_at, row.finished_at or now
        ran = self._ran_as(row.id) if running else Ran(row.pid, row.host, engine_id=row.engine_id)
        return Job(
            id=row.id,
            name=row.name,
            command=command_line(spec.argv, shell=spec.shell),
            argv=[text(word) for word in argv],
            argv_b64=_exactly(argv),
            shell=spec.shell,
            cwd=text(spec.cwd),
            state=row.state,
            reason=(self._why_stuck(row.id) if running else None) or reason,
            paused=row.paused,
            priority=row.priority,
            group=row.group,
            tags=row.tags,
            user=row.user,
            progress=row.progress,
            progress_message=row.progress_message,
            eta_s=self._left_of(row.id) if running and not row.paused else None,
            attempt=row.attempt,
            exit_code=row.exit_code,
            signal=row.signal,
            pid=ran.pid,
            host=ran.host or row.host or "",
            engine=row.engine,
            engine_id=ran.engine_id,
            submitted_at=moment(row.submitted_at),
            started_at=_moment(started),
            finished_at=_moment(row.finished_at),
            wait_s=_seconds(max(0, (started or end) - row.queued_at)),
            run_s=_seconds(max(0, end - started)) if started else None,
            cpu_s=_seconds(row.cpu_us),
            max_rss_kb=row.max_rss_kb,
            after=[parent.id for parent in parents if not parent.any_end],
            after_any=[parent.id for parent in parents if parent.any_end],
            waits_for=[parent.id for parent in _unmet(row, parents)],
            not_before=_moment(row.due) if row.state is State.PENDING else None,
            failures=row.failures,
            time_limit_s=row.policy.time_limit,
            retries=row.policy.retries,
            slots=row.slots,
            gpus=row.gpus,
            array_index=row.array_index,
            key=row.key,
            output_path=self._output(row.engine, row.id, row.attempt) if row.attempt else None,
        )

    def with_usage(self, jobs: Sequence[Job]) -> list[Job]:
        """The same, with what those that run use just now: that is looked at."""
        used = self._used_by([job.id for job in jobs if job.state is State.RUNNING])
        return [
            msgspec.structs.replace(job, **used[job.id]._asdict()) if job.id in used else job
            for job in jobs
        ]

    def _argv(self, spec: Spec) -> list[bytes]:
        """What is run: the command itself, or a shell that gets it."""
        shell = spec.interpreter or os.fsencode(self._shell)
        return [shell, b"-c", *spec.argv] if spec.shell else spec.argv

    def attempts(self, job: int, rows: Sequence[AttemptRow]) -> list[Attempt]:
        stored = self._workspaces.stored(job, [(row.engine, row.attempt) for row in rows])
        return [self._attempt(job, *one) for one in zip(rows, stored, strict=True)]

    def _attempt(self, job: int, row: AttemptRow, stored: Stored | None) -> Attempt:
        running = row.state is State.RUNNING
        usual = self._workspaces.path_of(row.engine, job, row.attempt)
        path = usual if stored is None else stored.path
        ran = self._ran_as(job) if running else Ran(row.pid, engine_id=row.engine_id)
        return Attempt(
            attempt=row.attempt,
            started_at=moment(row.started_at),
            finished_at=_moment(row.finished_at),
            state=row.state,
            reason=row.reason,
            exit_code=row.exit_code,
            signal=row.signal,
            pid=ran.pid,
            engine=row.engine,
            engine_id=ran.engine_id,
            cpu_s=_seconds(row.cpu_us),
            max_rss_kb=row.max_rss_kb,
            output_path="" if path is None else path_text(path),
            output_bytes=None if stored is None else stored.kept,
            stored_bytes=None if stored is None else stored.room,
        )

    def _output(self, engine: str | None, job: int, attempt: int) -> str | None:
        path = self._workspaces.path_of(engine, job, attempt)
        return None if path is None else path_text(path)

    def event(self, row: EventRow) -> Event:
        data = {} if row.data is None else msgspec.json.decode(row.data)
        return Event(
            seq=row.seq, at=moment(row.at), job=row.job, event=row.event, user=row.user, data=data
        )

    def recipe(self, row: JobRow) -> Recipe | None:
        """How to submit such a job again; None: that is not for everybody to know."""
        return recipe_of(row)


class JobViews:
    """Jobs with what is in no row: why they are just now as they are, and what they wait for."""

    def __init__(self, views: Views, inquiry: Inquiry, reader: Reader) -> None:
        self._views = views
        self._inquiry = inquiry
        self._reader = reader

    def of(self, rows: Sequence[JobRow], *, usage: bool = False) -> list[Job]:
        """All of them as of one moment; `usage`: with what those that run use."""
        now, reasons, parents = now_us(), self._inquiry.reasons(rows), self._reader.parents(rows)
        jobs = [
            self._views.job(row, now, reason, parents.get(row.id, ()))
            for row, reason in zip(rows, reasons, strict=True)
        ]
        return self._views.with_usage(jobs) if usage else jobs


def _exactly(argv: list[bytes]) -> list[str] | None:
    try:
        b"\0".join(argv).decode("utf-8")
    except UnicodeDecodeError:
        return [base64.b64encode(word).decode() for word in argv]
    return None
