"""Every move of a job, with all that follows from it.

    the table is asked → its row → its event → the counts → the ready queue and its time
    → jobs and clients that wait for it

For one job or for many. Nobody else changes a state of a job or writes an event of it; how it comes
into the queue is in `additions`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from jobd.contract.states import EventName, Reason, State, dependency_failed
from jobd.core.ledger import Holding, Ledger
from jobd.core.retry import delay
from jobd.core.transitions import Move, Outcome, Verdict, after, waiting_reason
from jobd.daemon.jobs.finished import Finished
from jobd.daemon.jobs.readiness import Readiness
from jobd.daemon.jobs.tally import Tally
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.store.batches import Batches
from jobd.store.dependencies import Dependencies
from jobd.store.event_log import EventLog
from jobd.store.jobs import DAMAGED, Jobs
from jobd.store.records import Location, Look, Parent, Ran, Started, StopOrder
from jobd.system.clock import now_us

Data = Mapping[str, object]
"""What an event says beside its name."""


class Obstacle(Struct, frozen=True):
    """What keeps a job from pending again: one of the two."""

    failed_parent: int | None = None
    """A job that it waits for and that has failed."""
    missing_group: str | None = None
    """Its group, which was removed."""


class Progress(Struct, frozen=True):
    """How far a running job is; as the event of it has it."""

    percent: float | None
    """From 0 to 100; None: it is not known, and the message says why."""
    message: str | None
    eta_s: float | None


class Moves:
    """Called by the writer's thread alone, inside its transaction.

    What a method says has happened is on disk and in memory when the transaction is committed, and
    in neither when it is taken back. No method looks whether its move is wanted, or allowed to
    whoever asks for it: that is for the caller, before.

    Each raises Refused where the table of `transitions` has no such move; nothing has changed then.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        jobs: Jobs,
        batches: Batches,
        event_log: EventLog,
        dependencies: Dependencies,
        readiness: Readiness,
        unsettled: Unsettled,
        finished: Finished,
        tally: Tally,
    ) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._batches = batches
        self._event_log = event_log
        self._dependencies = dependencies
        self._readiness = readiness
        self._unsettled = unsettled
        self._finished = finished
        self._tally = tally

    # --- into the queue again ---------------------------------------------------------------

    def requeued(
        self, job: Look, move: Move, user: str = "", *, held: bool = False, staged: bool = False
    ) -> Obstacle | None:
        """A finished job pends again, unless something keeps it from that: then it stays as it is.

        `staged`: it may be of a batch that is not visible yet.
        """
        state = after(job.state, move)
        unmet, failing = self._dependencies.refresh(job.id) if job.parents else (0, None)
        if failing is not None:
            return Obstacle(failed_parent=failing)
        if job.entry.group not in self._ledger.groups:
            return Obstacle(missing_group=job.entry.group)
        now = now_us()
        due = job.due_after(now)
        reason = waiting_reason(held=held, unmet=unmet, due=due, failures=0)
        self._jobs.requeued(job.id, reason, now, held=held, unmet=unmet, due=due)
        self._event(job.id, EventName.RESTARTED, user, now, {"attempt": job.attempt + 1})
        if not (staged and self._batches.is_staged(job.id)):
            self._tally.count(job.entry.group, job.state, state)
            self._readiness.enter(job.entry, reason, due)
        self._unsettled.note(job.id)
        return None

    def fails_for(self, job: Look, parent: int) -> None:
        """One that has failed because of another job would fail because of this one now."""
        self._jobs.fails_for(job.id, dependency_failed(parent))

    # --- an attempt begins ------------------------------------------------------------------

    def started(self, holding: Holding, token: str, location: Location) -> Started | None:
        """The next attempt of a job that `Ledger.take` has given; None: its record is damaged.

        Such a job has failed; it must not keep the others from running.
        """
        job, group, now = holding.entry.id, holding.entry.group, now_us()
        state = after(State.PENDING, Move.START)
        attempt = self._jobs.started(job, token, holding.slot, holding.gpus, location, now)
        if attempt is None:
            self._ledger.release(job)
            failed = after(State.PENDING, Move.FAIL)
            self._tally.count(group, State.PENDING, failed, reason=DAMAGED)
            self._event(job, EventName.FAILED, "", now, {"reason": DAMAGED})
            self._finished.note(job)
            return None
        self._event(job, EventName.STARTED, "", now, {"attempt": attempt.attempt})
        self._tally.began(attempt, state)
        return attempt

    # --- the end of an attempt ------------------------------------------------------------------

    def ended(self, attempt: Started, ran: Ran, outcome: Outcome, what: Verdict) -> None:
        """A running job is over, as the verdict has it, and what it had is free.

        It is over since it ended; the history tells that when it is known for good.
        """
        now = now_us()
        ended_at = now if ran.ended_at is None else ran.ended_at
        self._leave(attempt, ran, outcome, what, ended_at)
        self._jobs.finished(attempt.id, what.state, what.reason, ended_at, ran.output_bytes)
        end = None if what.state is State.COMPLETED else _end_of(what, outcome)
        self._event(attempt.id, EventName(what.state.value), "", now, end)
        self._finished.note(attempt.id)

    def again(self, attempt: Started, ran: Ran, outcome: Outcome, what: Verdict) -> None:
        """A running job pends again: at once where it was interrupted, later where it failed."""
        now = now_us()
        ended_at = now if ran.ended_at is None else ran.ended_at
        failures, due, reason = attempt.failures, None, what.reason or Reason.QUEUED
        if reason == Reason.RETRY_BACKOFF:
            failures += 1
            wait = delay(attempt.policy.retry_delay, failures, random.random())  # noqa: S311
            due = now + int(wait * 1e6) if wait else None
            reason = waiting_reason(held=False, unmet=0, due=due, failures=failures)
        self._leave(attempt, ran, outcome, what, ended_at)
        self._jobs.again(attempt.id, reason, ended_at, due, failures, ran.output_bytes)
        self._event(attempt.id, EventName.RETRYING, "", now, _end_of(what, outcome))
        self._readiness.enter(attempt.entry, reason, due)

    def _leave(
        self, attempt: Started, ran: Ran, outcome: Outcome, what: Verdict, ended_at: int
    ) -> None:
        self._jobs.attempt_ended(attempt.id, attempt.attempt, ran, outcome, what, ended_at)
        self._ledger.release(attempt.id)
        self._tally.over(attempt, ran, what, ended_at)

    def unstarted(self, attempt: Started, order: StopOrder | None) -> None:
        """The process of an attempt never came to be. The job waits again, or is stopped.

        `order`: that it was to end.
        """
        now, job = now_us(), attempt.id
        move, reason = Move.RETRY, str(Reason.NOT_STARTED)
        if order is not None and not (order.reason == Reason.SHUTDOWN and attempt.spec.requeue):
            move, reason = Move.STOP, order.reason
        state = after(State.RUNNING, move)
        self._jobs.never_started(job, attempt.attempt)
        self._ledger.release(job)
        self._tally.count(attempt.entry.group, State.RUNNING, state, reason=reason)
        if state is State.PENDING:
            # Whoever follows the history has read that it had started.
            self._event(job, EventName.RETRYING, "", now, {"reason": reason})
            self._readiness.enter(attempt.entry, Reason.QUEUED, None)
        else:
            self._jobs.stopped_pending(job, reason, now)
            self._event(job, EventName.STOPPED, "", now, {"reason": reason})
            self._finished.note(job)

    # --- out of it, without having run --------------------------------------------------------

    def failed(self, job: Look, reason: str) -> None:
        """A pending job, perhaps of a batch that is not visible yet, fails."""
        state, now = after(job.state, Move.FAIL), now_us()
        self._readiness.leave(job)
        self._jobs.failed_pending(job.id, reason, now)
        self._event(job.id, EventName.FAILED, "", now, {"reason": reason})
        if not self._batches.is_staged(job.id):
            self._tally.count(job.entry.group, job.state, state, reason=reason)
        self._finished.note(job.id)

    def withdrawn(self, jobs: Sequence[Look], user: str) -> None:
        """Pending jobs are stopped by a user: in a few statements, however many they are."""
        if not jobs:
            return
        state, now = after(State.PENDING, Move.STOP), now_us()
        ids = [job.id for job in jobs]
        for job in jobs:
            self._readiness.leave(job)
        self._jobs.stopped_together(ids, Reason.BY_USER, now)
        self._event_log.stopped(ids, Reason.BY_USER, user, now)
        self._tally.withdrawn((job.entry.group for job in jobs), state)
        self._finished.note_together(ids, self._dependencies.awaited(ids))

    def removed(self, job: Look, user: str, why: Reason | None = None) -> None:
        """A finished job is gone; the files of its output are not yet."""
        assert job.state.finished
        data = None if why is None else {"reason": why}
        self._jobs.removed(job.id, job.attempt, job.environment)
        self._event(job.id, EventName.REMOVED, user, now_us(), data)
        self._tally.count(job.entry.group, job.state, None)

    # --- what leaves a job in its state -----------------------------------------------------------

    def held(self, job: Look, user: str) -> None:
        """A pending job does not start before `released`."""
        self._readiness.change(job, held=True)
        self._event(job.id, EventName.HELD, user, now_us())

    def released(self, job: Look, user: str) -> None:
        """A held job waits for its turn, or for whatever else it has to wait for."""
        self._readiness.change(job, held=False)
        self._event(job.id, EventName.EDITED, user, now_us(), {"held": False})

    def edited(
        self,
        job: Look,
        columns: Mapping[str, object],
        parents: Sequence[Parent] | None,
        user: str,
        said: Data,
    ) -> None:
        """A pending job is another one from now on.

        `columns`: those of its row that change. `parents`: all that it waits for; None: as before.
        `said`: what the event says of it.
        """
        self._readiness.leave(job)
        if columns:
            self._jobs.edited(job.id, columns)
        if parents is not None:
            unmet = sum(not parent.met for parent in parents)
            self._dependencies.forget(job.id)
            self._dependencies.add([job.id], parents)
            self._jobs.edited(job.id, {"parents": len(parents), "unmet": unmet})
        fresh = self._jobs.look(job.id)
        assert fresh is not None
        # Nothing that memory knows of it is true any more: its time, too, has to be noted.
        unknown = msgspec.structs.replace(fresh, reason=None, due=None)
        self._readiness.change(unknown, due=fresh.due or 0)
        if fresh.entry.group != job.entry.group:
            self._tally.regrouped(job.entry.group, fresh.entry.group)
        self._event(job.id, EventName.EDITED, user, now_us(), said)

    def paused(self, job: int, user: str, now: int, *, paused: bool) -> None:
        """A running job is to stand still, or to go on."""
        self._jobs.set_paused(job, paused=paused)
        self._event(job, EventName.PAUSED if paused else EventName.RESUMED, user, now)

    def progressed(self, job: int, progress: Progress, user: str, now: int) -> None:
        """A running job has got so far."""
        self._jobs.progressed(job, progress.percent, progress.message)
        self._event(job, EventName.PROGRESS, user, now, msgspec.structs.asdict(progress))

    # --- pieces -------------------------------------------------------------------------------

    def _event(
        self, job: int, event: EventName, user: str, now: int, data: Data | None = None
    ) -> None:
        said = None if data is None else msgspec.json.encode(data)
        self._event_log.add(job, event, user, now, said)


def _end_of(what: Verdict, outcome: Outcome) -> Data:
    end = {"reason": what.why, "exit_code": outcome.exit_code, "signal": outcome.signal}
    return {name: value for name, value in end.items() if value is not None}
