"""The use cases that change jobs: start, hold, stop, restart, rm; and the end of all of them.

Each checks what it is given, decides inside a transaction of the writer, where nothing else can
move, and answers when that is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from jobd.contract.errors import NotFound, Refused, StoreFailed
from jobd.contract.models import Acted, Hold, Progress, Restart, Rm, Start, Stop
from jobd.contract.paths import Paths
from jobd.contract.states import Reason, State
from jobd.contract.wording import NAMED, listed
from jobd.core.progress.recognition import Reading, message_of
from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import SLICE, Bulk, Chosen, Tally
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.execution.runs import Run, Runs, note_progress
from jobd.daemon.jobs.moves import Obstacle
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.state import Books
from jobd.outputs.limit import note_of
from jobd.store.reader import Reader
from jobd.store.records import StopOrder
from jobd.store.store import Look
from jobd.store.writer import Writer
from jobd.system.clock import boot_us, now_us

log = logging.getLogger(__name__)


class Manager:
    def __init__(
        self,
        *,
        paths: Paths,
        grace: float,
        books: Books,
        reader: Reader,
        writer: Writer,
        idempotency: Idempotency,
        bulk: Bulk,
        runs: Runs,
        notifier: Notifier,
    ) -> None:
        self._paths = paths
        self._grace = grace
        self._ledger = books.ledger
        self._store = books.store
        self._dependencies = books.dependencies
        self._moves = books.moves
        self._reader = reader
        self._writer = writer
        self._idempotency = idempotency
        self._bulk = bulk
        self._runs = runs
        self._notifier = notifier
        self.after_rm: Callable[[], object] = lambda: None
        """Called when jobs have been removed, and there may be room to give back."""

    # --- into the queue -----------------------------------------------------------------------

    def start(self, request: Start, user: str, request_id: bytes) -> Acted:
        return self._bulk.act(
            request.selector,
            request_id,
            lambda job, t: self._start(job, t, user),
            parents_first=True,
        )

    def _start(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.PENDING and job.held:
            self._moves.released(job, user)
            tally.done.append(job.id)
        elif job.state in (State.PENDING, State.RUNNING):
            tally.notice(job.id, f"is already {job.state}")
        elif job.state is not State.STOPPED:
            tally.error(job.id, f"has {job.state}; to run it again: jobctl restart {job.id}")
        else:
            self._requeue(job, Move.RELEASE, user, tally)

    def hold(self, request: Hold, user: str, request_id: bytes) -> Acted:
        return self._bulk.act(request.selector, request_id, lambda job, t: self._hold(job, t, user))

    def _hold(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.RUNNING:
            tally.error(job.id, f"is running; to halt it: jobctl pause {job.id}")
        elif job.state is not State.PENDING:
            tally.has_finished(job)
        elif job.held:
            tally.notice(job.id, "is already held")
        else:
            self._moves.held(job, user)
            tally.done.append(job.id)

    def restart(self, request: Restart, user: str, request_id: bytes) -> Acted:
        environment = request.environment

        def restart(job: Look, tally: Tally) -> None:
            if job.parents and self._store.came_back(job.id, tally.since or 0):
                done = self._came_back(job, tally)
            else:
                done = self._restart(job, tally, user, request.selector.states)
            if done and environment is not None:
                new = self._store.use_environment(environment, 1)
                self._store.renew_environment(job.id, job.environment, new)

        return self._bulk.act(
            request.selector, request_id, restart, parents_first=True, as_chosen=False
        )

    def _came_back(self, job: Look, tally: Tally) -> bool:
        """What it waits for was restarted in an earlier slice, and so was it: never twice.

        Whether it still waits.
        """
        waits = job.state is State.PENDING
        tally.done.append(job.id)
        tally.attempts[job.id] = job.attempt + waits
        return waits

    def _restart(self, job: Look, tally: Tally, user: str, states: Sequence[State]) -> bool:
        """`states`: those by which it was chosen, if by any; somebody else may have restarted it
        since.
        """
        if job.state is State.PENDING:
            tally.notice(job.id, "is already pending")
        elif job.state is State.RUNNING and states:
            tally.notice(job.id, "is already running")
        elif job.state is State.RUNNING:
            tally.error(job.id, f"is running; stop it first: jobctl stop {job.id}")
        elif states and job.state not in states:
            tally.has_moved(job)
        else:
            return self._requeue(job, Move.RESTART, user, tally)
        return False

    def _requeue(self, job: Look, move: Move, user: str, tally: Tally) -> bool:
        """Whether it pends again; not while one that it waits for has failed."""
        obstacle = self._moves.requeued(job, move, user)
        if obstacle is not None:
            tally.error(job.id, _in_words(obstacle))
            return False
        tally.done.append(job.id)
        tally.attempts[job.id] = job.attempt + 1
        return True

    # --- out of it ----------------------------------------------------------------------------

    def stop(self, request: Stop, user: str, request_id: bytes) -> Acted:
        grace = self._grace if request.grace is None else request.grace
        order = StopOrder(Reason.BY_USER, request.signal, grace, boot_us())
        return self._bulk.act(
            request.selector,
            request_id,
            lambda job, t: self._stop(job, t, order, removing=request.removing),
            lambda tally: self._moves.withdrawn(tally.withdrawn, user),
            self._carry_out,
        )

    def _carry_out(self, jobs: list[int]) -> None:
        """Orders that are on disk; whatever becomes of the next slice."""
        for job in jobs:
            run = self._runs.get(job)
            if run is None:
                self._notifier.finished(job)
            else:
                self._runs.carry_out_stop(run)

    def _stop(self, job: Look, tally: Tally, order: StopOrder, *, removing: bool) -> None:
        if removing and self._is_waited_for(job.id, tally):
            return
        if job.state is State.RUNNING:
            self._order_stop(self._runs[job.id], order)
            tally.done.append(job.id)
        elif job.state is State.PENDING:
            tally.withdrawn.append(job)
            tally.done.append(job.id)
        else:
            tally.has_finished(job)

    def _order_all(self, order: StopOrder) -> None:
        for run in self._runs.all():
            before = run.order
            if before is None:
                self._order_stop(run, order)
            elif order.due < before.due:
                # What a user has stopped stays stopped by the user.
                self._order_stop(run, msgspec.structs.replace(order, reason=before.reason))

    def _order_stop(self, run: Run, order: StopOrder) -> None:
        self._store.stop_ordered(run.id, order)
        self._runs.order_stop(run, order)

    def rm(self, request: Rm, user: str, request_id: bytes) -> Acted:
        acted = self._bulk.act(request.selector, request_id, lambda job, t: self._rm(job, t, user))
        self.delete_outputs()
        self.after_rm()
        return acted

    def _rm(self, job: Look, tally: Tally, user: str) -> None:
        if not job.state.finished:
            tally.error(job.id, f"is {job.state}; stop it first, or use rm --force")
            return
        if self._is_waited_for(job.id, tally):
            return
        self._moves.removed(job, user)
        tally.done.append(job.id)

    def _is_waited_for(self, job: int, tally: Tally) -> bool:
        """Whether others wait for it that stay: they are not to be removed, or cannot be."""
        others = self._staying(job, tally.chosen)
        if others:
            verb, them = ("waits", "that") if len(others) == 1 else ("wait", "those")
            why = f"{listed(others)} {verb} for it; remove {them} with it"
            if all(other in tally.chosen for other in others):
                why = f"{listed(others)} {verb} for it, and cannot be removed either"
            tally.error(job, f"cannot be removed: {why}")
        return bool(others)

    def _staying(self, job: int, chosen: Chosen) -> list[int]:
        """Who waits for it and stays; looked up once for each, those that wait first."""
        if not self._dependencies.waiting(job, 1):
            return []  # nearly always, and a million of them leave nothing in memory
        known, begun, open_ends = chosen.awaited, set[int](), [job]
        while open_ends:
            one = open_ends[-1]
            waiting = self._dependencies.waiting(one, NAMED + 1 + len(chosen))
            unknown = [other for other in waiting if other in chosen and other not in known]
            if unknown and one not in begun:
                begun.add(one)
                open_ends += unknown
            else:
                known[one] = [o for o in waiting if o not in chosen or known.get(o)]
                open_ends.pop()
        return known[job]

    def delete_outputs(self) -> None:
        """Delete the files of removed jobs; what a crash left over is found again at the start."""
        while gone := self._reader.deletions(SLICE):
            for job, attempts in gone:
                for attempt in range(1, attempts + 1):
                    output = self._paths.output_of(job, attempt)
                    _delete(output)
                    _delete(Path(note_of(output)))
            _delete_empty({self._paths.output_of(job, 1).parent for job, _ in gone})
            self._writer.call(lambda gone=gone: self._store.deleted(job for job, _ in gone))  # type: ignore[misc]

    # --- progress -----------------------------------------------------------------------------

    def progress(self, request: Progress, user: str, request_id: bytes) -> Acted:
        """Raises: NotFound, Refused (it does not run)."""
        return self._idempotency.once(request_id, Acted, lambda: self._progress(request, user))

    def _progress(self, request: Progress, user: str) -> Acted:
        look = self._store.look(request.id)
        if look is None:
            raise NotFound(f"job {request.id} does not exist")
        if look.state is not State.RUNNING:
            raise Refused(f"job {request.id} is {look.state}, not running")
        reading = Reading(request.percent, message_of(request.message or ""))
        note_progress(self._moves, self._runs[request.id], reading, user, now_us())
        return Acted(done=[request.id])

    # --- shutting down --------------------------------------------------------------------------

    def drain(self) -> list[int]:
        """Start nothing more and take nothing more; the jobs that still run."""
        self._ledger.draining = True
        self._writer.nudge()
        return sorted(run.id for run in self._runs.all())

    def end_running(self) -> None:
        """For `stop --now`: every running job is told to end."""
        order = StopOrder(Reason.SHUTDOWN, 15, self._grace, boot_us())
        try:
            self._writer.call(lambda: self._order_all(order))
        except StoreFailed as error:
            # A full disk must not keep a machine from being shut down.
            log.warning("the order to end all jobs %s", error)
            for run in self._runs.all():
                run.ordered(run.order or order)
        for run in self._runs.all():
            self._runs.carry_out_stop(run)


def _in_words(obstacle: Obstacle) -> str:
    parent, group = obstacle.failed_parent, obstacle.missing_group
    if parent is not None:
        return f"waits for job {parent}, which has failed; jobctl restart {parent}"
    return f"is of group {group}, which was removed; jobctl groups add {group} --workers N"


def _delete(path: Path) -> None:
    """What cannot be deleted is left where it is: it must not keep others from being deleted."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s stays: %s", path, error.strerror)


def _delete_empty(folders: Iterable[Path]) -> None:
    """A job that needs one of them just then makes it again."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
