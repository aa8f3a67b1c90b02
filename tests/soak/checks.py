"""The invariants, one function each: what it gives is wrong. All is read from the files."""

import json
import re
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from contextlib import closing
from typing import NamedTuple

from jobd.system import linux
from tests.e2e.engine_of_run import where_outputs_are
from tests.soak import trace
from tests.soak.witness import FORGOTTEN, GIVEN_UP, MISSING

_CLOCKS_US = 100_000
"""By so much two clocks of one machine may differ."""
_LATE_US = 3_000_000
"""Microseconds within which an end is seen by somebody on a machine that is busy."""


class Job(NamedTuple):
    id: int
    state: str
    reason: str | None
    name: str
    attempt: int


class Ran(NamedTuple):
    """An attempt as recorded; times in microseconds since the epoch."""

    attempt: int
    token: str | None
    state: str
    reason: str | None
    exit_code: int | None
    signal: str | None
    started: int
    finished: int | None
    engine_id: str | None = None
    """The number that a cluster has for it."""


class Found(NamedTuple):
    """What the store holds in the end."""

    jobs: dict[int, Job]
    attempts: dict[int, list[Ran]]
    events: list[tuple[int, int | None, str, str | None]]
    last_id: int
    integrity: str
    foreign_keys: list


def read(database):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        jobs = {
            row[0]: Job(*row)
            for row in db.execute("SELECT id, state, reason, name, attempt FROM jobs")
        }
        attempts = defaultdict(list)
        for job, *row in db.execute(
            "SELECT job, attempt, token, state, reason, exit_code, signal, started_at, finished_at,"
            " engine_id FROM attempts ORDER BY job, attempt"
        ):
            attempts[job].append(Ran(*row))
        return Found(
            jobs,
            attempts,
            db.execute("SELECT seq, job, event, data FROM events ORDER BY seq").fetchall(),
            db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()[0],
            db.execute("PRAGMA integrity_check").fetchone()[0],
            db.execute("PRAGMA foreign_key_check").fetchall(),
        )


def all_of(found, model, traces, paths):
    """Every invariant that can be read from the files; what does not hold, by its name."""
    if found.integrity != "ok" or found.foreign_keys:
        yield f"store: {found.integrity} {found.foreign_keys}"
    for check in (
        acknowledged_jobs_are_there, refused_jobs_are_not_there, ids_only_grow, none_ran_twice,
        outcomes_are_exact, ends_are_when_they_were, history_is_consistent,
    ):  # fmt: skip
        for text in check(found, model, traces):
            yield f"{check.__name__}: {text}"
    for text in output_is_whole(found, model, paths, traces):
        yield f"output: {text}"
    for text in removed_output_is_gone(found, model, paths):
        yield f"removed: {text}"


def settled(check, patience=10.0):
    """The last answer of a check; an empty one ends the wait."""
    end = time.monotonic() + patience
    while (left := check()) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def acknowledged_jobs_are_there(found, model, _traces):
    """Neither missing nor doubled; a submit whose answer was lost happened once or not at all."""
    names = Counter(job.name for job in found.jobs.values())
    for known in model.jobs:
        job = found.jobs.get(known.id)
        if known.removed and job is not None:
            yield f"job {known.id} was removed and is there"
        elif known.id is not None and not known.removed and not known.maybe_removed:
            if job is None:
                yield f"job {known.id} ({known.name}) was acknowledged and is missing"
            elif job.name != known.name:
                yield f"job {known.id} is {job.name} and not {known.name}"
    expected = Counter(known.name for known in model.jobs)
    gone = Counter(k.name for k in model.jobs if k.removed or k.maybe_removed)
    unsure = {known.name for known in model.jobs if known.id is None or known.maybe_removed}
    for name in names | expected:
        if names[name] + gone[name] == expected[name] or names[name] == expected[name]:
            continue
        if name in unsure and names[name] <= expected[name]:
            continue
        yield f"{names[name]} jobs named {name}, {expected[name]} were submitted"


def refused_jobs_are_not_there(found, model, _traces):
    names = {job.name for job in found.jobs.values()}
    for name in names & {known.name for known in model.jobs if known.refused}:
        yield f"{name} was refused and is there"


def ids_only_grow(found, model, traces):
    known = [job.id for job in model.jobs if job.id is not None]
    for job, number in Counter(known).items():
        if number > 1:
            yield f"id {job} was given {number} times"
    if known and max(known) > found.last_id:
        yield f"id {max(known)} was given, and the store goes to {found.last_id}"
    for job, _ in traces.begun:
        if job > found.last_id:
            yield f"job {job} ran, and the store goes to {found.last_id}"


def none_ran_twice(found, model, traces):
    """At most one beginning for each attempt, and that of the attempt that is recorded."""
    for (job, attempt), tokens in traces.begun.items():
        if len(tokens) > 1:
            yield f"job {job} attempt {attempt} began {len(tokens)} times"
        recorded = {ran.attempt: ran.token for ran in found.attempts.get(job, ())}
        if job in found.jobs and recorded.get(attempt) not in tokens:
            yield f"job {job} attempt {attempt} ran as {tokens}, not {recorded.get(attempt)}"
    yield from traces.overlaps
    by_id = {known.id: known for known in model.jobs}
    for job in found.jobs.values():
        known, rans = by_id.get(job.id), found.attempts[job.id]
        again = (
            sum(known.requeue and (_has_lost(ran) or ran.reason == "shutdown") for ran in rans)
            if known
            else 0
        )
        restarts = known.restarts if known else 0
        if job.attempt > 1 + restarts + again:
            yield f"job {job.id} had {job.attempt} attempts, {1 + restarts + again} were allowed"


def outcomes_are_exact(found, model, traces):
    """The exit code that was planned, or honestly lost where both parents had died, or a cluster
    had lost it.
    """
    by_id = {known.id: known for known in model.jobs if known.id is not None}
    by_name = {known.name: known for known in model.jobs}
    for job in found.jobs.values():
        known = by_id.get(job.id) or by_name.get(job.name)
        for ran in found.attempts[job.id]:
            yield from _attempt(job.id, known, ran, model, traces)
    for known in model.jobs:
        if known.removed or (known.maybe_removed and known.id not in found.jobs):
            for row in known.attempts:
                yield from _attempt(known.id, known, Ran(*row), model, traces)


def _attempt(job, known, ran, model, traces):
    about = f"job {job} attempt {ran.attempt} ({known.kind if known else '?'}): {ran.reason}"
    if ran.finished is None:
        yield f"{about}: it never ended"
        return
    ended = traces.ended.get((job, ran.attempt), [])
    if _is_lost(ran):
        if model.witness is not None:
            if not _is_there_for_it(job, ran, model):
                yield f"{about}, and the cluster does not say that it has done that"
        elif not any(blow.meets(ran.started, ran.finished or 0) for blow in model.blows):
            yield f"{about}, and its parents did not both die"
    elif ran.state == "stopped" or ran.reason in ("by user", "shutdown"):
        if not (known is None or known.stopped or model.shutdowns):
            yield f"{about}, and nobody asked for it"
    else:
        said = "KILL" if ran.signal == "KILL" else str(ran.exit_code)
        wanted = trace.planned(known.kind, job, ran.attempt) if known else said
        if ended != [said] or said != wanted:
            yield f"{about}: recorded {said}, planned {wanted}, it said {ended}"
        if (ran.state == "completed") is not (ran.exit_code == 0):
            yield f"{about}: {ran.state} with exit code {ran.exit_code}"


def _is_lost(ran):
    """Or ended by a cluster, which says only by which signal, or that it has cancelled it."""
    return _has_lost(ran) or ran.reason in ("signal TERM", "cancelled in Slurm")


def _has_lost(ran):
    return ran.reason is not None and ran.reason.startswith("lost")


def _is_there_for_it(job, ran, model):
    """Whether what is told of an attempt is what the cluster did, for a blow that has struck it."""
    span = ran.started, ran.finished
    blows = [blow for blow in model.there if blow.meets(*span)]
    is_forgetful = any(blow.what == "slurmctld" for blow in blows)

    def says(what, since=ran.started):
        return model.witness.says(what, ran.engine_id, since, ran.finished)

    if ran.reason == "cancelled in Slurm":
        return says(GIVEN_UP)
    if ran.reason == "signal TERM":
        return is_forgetful or says(FORGOTTEN, since=0)
    if node := re.fullmatch(r"lost: (\w+) failed", ran.reason):
        is_struck = any((job, ran.attempt) in blow.struck for blow in model.there)
        is_struck = is_struck or any(blow.what == node[1] for blow in blows)
        return says(MISSING) and (is_struck or is_forgetful)
    return is_forgetful and ran.reason in (
        f"lost: Slurm has forgotten job {ran.engine_id}",
        "lost: Slurm has started it a second time",
    )


def ends_are_when_they_were(found, model, traces):
    """Not when they could be saved; later only where nobody could see them."""
    for job, rans in found.attempts.items():
        for ran in rans:
            at = traces.ended_at.get((job, ran.attempt))
            # Lost is when that was found out.
            if at is None or ran.finished is None or _is_lost(ran):
                continue
            seen = max([at, *(span.over for span in model.halts if span.meets(at, at))])
            if not at - _CLOCKS_US <= ran.finished <= seen + _LATE_US:
                yield (
                    f"job {job} attempt {ran.attempt} ended, and has that on record"
                    f" {(ran.finished - at) / 1e6:.2f} s later"
                )


_NEXT = {
    ("", "submitted"): "pending",
    ("pending", "started"): "running",
    ("pending", "stopped"): "stopped",
    ("running", "retrying"): "pending",
    **{("running", end): end for end in ("completed", "failed", "stopped")},
    **{(end, "restarted"): "pending" for end in ("completed", "failed", "stopped")},
    **{(end, "removed"): "removed" for end in ("completed", "failed", "stopped")},
}


def history_is_consistent(found, model, _traces):
    """Every event follows from the one before, and the last one says what the store says."""
    states, attempts = defaultdict(str), defaultdict(int)
    for seq, job, event, data in found.events:
        if job is None or event == "progress":
            continue
        if event == "started":
            attempts[job] = json.loads(data)["attempt"]
        following = _NEXT.get((states[job], event))
        if following is None:
            yield f"event {seq}: job {job} was {states[job] or 'not there'}, then {event}"
        else:
            states[job] = following
    for job, state in states.items():
        real = found.jobs[job].state if job in found.jobs else "removed"
        if state != real:
            yield f"job {job} is {real}, its history says {state}"
    for job in found.jobs.values():
        if attempts[job.id] != job.attempt and job.state != "stopped":
            yield f"job {job.id} is at attempt {job.attempt}, its history at {attempts[job.id]}"
    removed = {known.id for known in model.jobs if known.removed}
    for job in removed - {job for job, state in states.items() if state == "removed"}:
        yield f"job {job} was removed, and its history does not say so"


def output_is_whole(found, model, paths, traces):
    """Of attempts for whose output there was space."""
    for job in found.jobs.values():
        for ran in found.attempts[job.id]:
            key = job.id, ran.attempt
            if model.was_full(ran.started, ran.finished or sys.maxsize):
                continue
            try:
                content = where_outputs_are(paths).output_of(*key).read_bytes()
            except FileNotFoundError:
                content = b""
            whole = trace.output(*key)
            if content != whole if traces.ended.get(key) else not whole.startswith(content):
                yield f"job {job.id} attempt {ran.attempt}: {len(content)} bytes, not whole"


def removed_output_is_gone(found, model, paths):
    paths = where_outputs_are(paths)
    for known in model.jobs:
        if known.removed and any(paths.output_of(known.id, n).exists() for n in range(1, 9)):
            yield f"job {known.id} was removed, and its output is there"
    known = {(job.id, ran.attempt) for job in found.jobs.values() for ran in found.attempts[job.id]}
    for file in paths.output.rglob("*.log"):
        job, attempt, _ = file.name.split(".")
        if (int(job), int(attempt)) not in known:
            yield f"{file.name} belongs to no attempt"


def nobody_is_left(instance):
    """Beside daemon and supervisor; and neither keeps a zombie or a growing number of files."""
    status = instance.answers()
    for pid, command in instance.processes().items():
        if pid not in (status.pid, status.supervisor_pid):
            yield f"process {pid} is left: {command[:100]}"
    for pid in (status.pid, status.supervisor_pid):
        for child in linux.children_of(pid):
            if child.pid != status.pid:
                yield f"process {child.pid} (state {child.state}) is left, a child of {pid}"
