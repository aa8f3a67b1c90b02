"""The use cases that change what is there: start, hold, stop, restart, rm, pause, edit, groups.

Each checks what it is given, decides inside a transaction of the writer, where nothing else can
move, and answers when that is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from jobd.books import Books
from jobd.clock import boot_us, now_us
from jobd.contract.errors import BadRequest, NotFound, Refused, StoreFailed
from jobd.contract.models import (
    DEFAULT_GROUP,
    Acted,
    Edit,
    Groups,
    GroupShare,
    GroupsReply,
    Hold,
    Pause,
    Progress,
    Restart,
    Resume,
    Rm,
    Selector,
    Start,
    State,
    Stop,
    Workers,
    WorkersReply,
)
from jobd.contract.paths import Paths
from jobd.core.ledger import Share
from jobd.core.progress import Reading
from jobd.core.states import BY_USER, SHUTDOWN, Move, after
from jobd.cuts import note_of
from jobd.editing import Editing
from jobd.hub import Hub
from jobd.repeats import Repeats
from jobd.runs import Run, Runs, note_progress
from jobd.slices import SLICE, Slices, Tally
from jobd.store.reader import Reader
from jobd.store.records import StopOrder
from jobd.store.store import Look
from jobd.store.writer import Writer

log = logging.getLogger(__name__)
_NAMED: int = 10
"""Jobs that a refusal names one by one."""


class Manager:
    def __init__(
        self,
        *,
        paths: Paths,
        grace: float,
        books: Books,
        reader: Reader,
        writer: Writer,
        repeats: Repeats,
        slices: Slices,
        editing: Editing,
        runs: Runs,
        hub: Hub,
    ) -> None:
        self._paths = paths
        self._grace = grace
        self._undo = books.undo
        self._ledger = books.ledger
        self._store = books.store
        self._dependencies = books.dependencies
        self._waiting = books.waiting
        self._dependants = books.dependants
        self._reader = reader
        self._writer = writer
        self._repeats = repeats
        self._slices = slices
        self._editing = editing
        self._runs = runs
        self._hub = hub
        self.after_rm: Callable[[], object] = lambda: None
        """Called when jobs have been removed, and there may be room to give back."""

    # --- into the queue -----------------------------------------------------------------------

    def start(self, request: Start, user: str, request_id: bytes) -> Acted:
        return self._slices.act(
            request.selector, request_id, lambda job, t: self._start(job, t, user)
        )

    def _start(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.PENDING and job.held:
            self._waiting.change(job, held=False)
            self._store.event(job.job, "edited", user, now_us(), b'{"held":false}')
            tally.done.append(job.job)
        elif job.state in (State.PENDING, State.RUNNING):
            tally.notice(job.job, f"is already {job.state}")
        elif job.state is not State.STOPPED:
            tally.error(job.job, f"has {job.state}; to run it again: jobctl restart {job.job}")
        else:
            self._requeue(job, Move.RELEASE, user, tally)

    def hold(self, request: Hold, user: str, request_id: bytes) -> Acted:
        return self._slices.act(
            request.selector, request_id, lambda job, t: self._hold(job, t, user)
        )

    def _hold(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.RUNNING:
            tally.error(job.job, f"is running; to halt it: jobctl pause {job.job}")
        elif job.state is not State.PENDING:
            tally.notice(job.job, f"has already {_finished_word(job.state)}")
        elif job.held:
            tally.notice(job.job, "is already held")
        else:
            self._waiting.change(job, held=True)
            self._store.event(job.job, "held", user, now_us())
            tally.done.append(job.job)

    def restart(self, request: Restart, user: str, request_id: bytes) -> Acted:
        return self._slices.act(
            request.selector,
            request_id,
            lambda job, t: self._restart(job, t, user, request.environment),
        )

    def _restart(
        self, job: Look, tally: Tally, user: str, environment: dict[bytes, bytes] | None
    ) -> None:
        if job.state is State.PENDING:
            tally.notice(job.job, "is already pending")
        elif job.state is State.RUNNING:
            tally.error(job.job, f"is running; stop it first: jobctl stop {job.job}")
        elif self._requeue(job, Move.RESTART, user, tally) and environment is not None:
            new = self._store.use_environment(environment, 1)
            self._store.renew_environment(job.job, job.environment, new)

    def _requeue(self, job: Look, move: Move, user: str, tally: Tally) -> bool:
        """Whether it pends again; not while one that it waits for has failed."""
        unmet, failing = self._dependencies.refresh(job.job) if job.unmet else (0, None)
        if failing is not None:
            tally.error(
                job.job, f"waits for job {failing}, which has failed; jobctl restart {failing}"
            )
            return False
        group = job.entry.group
        if group not in self._ledger.groups:
            tally.error(
                job.job, f"its group {group} was removed; jobctl groups add {group} --workers N"
            )
            return False
        state, now = after(job.state, move), now_us()
        self._store.requeued(job.job, now, unmet=unmet)
        data = b'{"attempt":%d}' % (job.attempt + 1)
        self._store.event(job.job, "restarted", user, now, data)
        self._ledger.count(job.state, state)
        fresh = self._store.look(job.job)
        if fresh is not None:
            self._waiting.enter(fresh)
        self._dependants.changed(job.job)
        tally.done.append(job.job)
        tally.attempts[job.job] = job.attempt + 1
        return True

    # --- out of it ----------------------------------------------------------------------------

    def stop(self, request: Stop, user: str, request_id: bytes) -> Acted:
        grace = self._grace if request.grace is None else request.grace
        order = StopOrder(BY_USER, request.signal, grace, boot_us())
        acted = self._slices.act(
            request.selector,
            request_id,
            lambda job, t: self._stop(job, t, order, removing=request.removing),
            lambda tally: self._stop_withdrawn(tally.withdrawn, user),
        )
        for job in acted.done:
            run = self._runs.get(job)
            if run is None:
                self._hub.finished(job)
            else:
                self._runs.carry_out_stop(run)
        return acted

    def _stop(self, job: Look, tally: Tally, order: StopOrder, *, removing: bool) -> None:
        if removing and self._is_waited_for(job.job, tally):
            return
        if job.state is State.RUNNING:
            self._order_stop(self._runs[job.job], order)
            tally.done.append(job.job)
        elif job.state is State.PENDING:
            self._waiting.leave(job)
            tally.withdrawn.append(job.job)
            tally.done.append(job.job)
        else:
            tally.notice(job.job, f"has already {_finished_word(job.state)}")

    def _stop_withdrawn(self, jobs: list[int], user: str) -> None:
        """Pending jobs that have left the queue, all of a slice at once."""
        if jobs:
            self._store.stopped_together(jobs, BY_USER, user, now_us())
            self._ledger.count(State.PENDING, after(State.PENDING, Move.STOP), len(jobs))
            for parent in self._dependencies.awaited(jobs):
                self._dependants.changed(parent)

    def _order_all(self, order: StopOrder) -> None:
        for run in self._runs.all():
            before = run.order
            if before is None:
                self._order_stop(run, order)
            elif order.due < before.due:
                # What a user has stopped stays stopped by the user.
                self._order_stop(run, msgspec.structs.replace(order, reason=before.reason))

    def _order_stop(self, run: Run, order: StopOrder) -> None:
        before = run.order
        self._store.stop_ordered(run.job, order)
        run.order = order
        self._undo.add(lambda: setattr(run, "order", before))

    def rm(self, request: Rm, user: str, request_id: bytes) -> Acted:
        acted = self._slices.act(
            request.selector, request_id, lambda job, t: self._rm(job, t, user)
        )
        self.delete_outputs()
        self.after_rm()
        return acted

    def _rm(self, job: Look, tally: Tally, user: str) -> None:
        if not job.state.finished:
            tally.error(job.job, f"is {job.state}; stop it first, or use rm --force")
            return
        if self._is_waited_for(job.job, tally):
            return
        self.remove(job, user)
        tally.done.append(job.job)

    def remove(self, job: Look, user: str, data: bytes | None = None) -> None:
        """In the writer's transaction; its output is deleted by `delete_outputs`, afterwards."""
        self._store.removed(job.job, job.attempt, job.environment)
        self._store.event(job.job, "removed", user, now_us(), data)
        self._ledger.count(job.state, None)

    def _is_waited_for(self, job: int, tally: Tally) -> bool:
        """Whether others wait for it that are not themselves to be removed."""
        others = [
            other
            for other in self._dependencies.waiting(job, _NAMED + 1 + len(tally.chosen))
            if other not in tally.chosen
        ]
        if others:
            more = ", …" if len(others) > _NAMED else ""
            names = ", ".join(map(str, others[:_NAMED])) + more
            verb = "waits" if len(others) == 1 else "wait"
            tally.error(job, f"cannot be removed: {names} {verb} for it")
        return bool(others)

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

    # --- halting ------------------------------------------------------------------------------

    def pause(self, request: Pause, user: str, request_id: bytes) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or no such group)."""
        chosen = self._halted_or_running(request, user, request_id, paused=True)
        if chosen is None:
            return Acted(done=[])
        acted = self._slices.act(chosen, request_id, lambda job, t: self._pause(job, t, user))
        self._carry_out_pauses(acted.done)
        return acted

    def _pause(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is State.PENDING:
            tally.error(job.job, f"is pending; to keep it from starting: jobctl hold {job.job}")
        elif job.state is not State.RUNNING:
            tally.notice(job.job, f"has already {_finished_word(job.state)}")
        elif job.paused:
            tally.notice(job.job, "is already paused")
        else:
            self._store.set_paused(job.job, paused=True)
            self._store.event(job.job, "paused", user, now := now_us())
            self._runs[job.job].paused(now / 1e6)
            tally.done.append(job.job)

    def resume(self, request: Resume, user: str, request_id: bytes) -> Acted:
        """Raises: BadRequest (neither jobs nor a group, or no such group)."""
        chosen = self._halted_or_running(request, user, request_id, paused=False)
        if chosen is None:
            return Acted(done=[])
        acted = self._slices.act(chosen, request_id, lambda job, t: self._resume(job, t, user))
        self._carry_out_pauses(acted.done)
        return acted

    def _resume(self, job: Look, tally: Tally, user: str) -> None:
        if job.state is not State.RUNNING or not job.paused:
            what = (
                "is not paused"
                if not job.state.finished
                else (f"has already {_finished_word(job.state)}")
            )
            tally.notice(job.job, what)
        else:
            self._store.set_paused(job.job, paused=False)
            self._store.event(job.job, "resumed", user, now := now_us())
            self._runs[job.job].resumed(now / 1e6)
            tally.done.append(job.job)

    def _halted_or_running(
        self, request: Pause | Resume, user: str, request_id: bytes, *, paused: bool
    ) -> Selector | None:
        """The jobs that are meant; None: only the group itself was."""
        if request.group is None:
            if request.running:
                raise BadRequest("--running goes with --group")
            return request.selector
        if request.selector.named:
            raise BadRequest("--group pauses the group; name jobs or a group, not both")
        group = request.group
        key = request_id + b"group" if request_id else b""
        self._repeats.once(key, Acted, lambda: self._pause_group(group, user, paused=paused))
        if not request.running:
            return None
        return Selector(groups=[group], states=[State.RUNNING])

    def _pause_group(self, name: str, user: str, *, paused: bool) -> Acted:
        share = self._share(name)
        if share.paused != paused:
            self._put_group(name, msgspec.structs.replace(share, paused=paused))
            verb = "paused" if paused else "resumed"
            self._store.event(None, verb, user, now_us(), msgspec.json.encode({"group": name}))
        return Acted(done=[])

    def _carry_out_pauses(self, jobs: list[int]) -> None:
        for job in jobs:
            run = self._runs.get(job)
            if run is not None:
                self._runs.carry_out_pause(run)

    # --- editing ------------------------------------------------------------------------------

    def edit(self, request: Edit, user: str, request_id: bytes) -> Acted:
        """Raises: NotFound, Refused (it is not pending), BadRequest (names the field)."""
        return self._repeats.once(request_id, Acted, lambda: self._editing.edit(request, user))

    # --- workers and groups -------------------------------------------------------------------

    def workers(self, request: Workers, user: str, request_id: bytes) -> WorkersReply:
        return self._repeats.once(request_id, WorkersReply, lambda: self._workers(request, user))

    def _workers(self, request: Workers, user: str) -> WorkersReply:
        ledger = self._ledger
        if request.workers is not None and request.workers != ledger.workers:
            ledger.set_workers(request.workers)
            self._store.setting("workers", str(request.workers))
            self._note_workers(user, {"workers": request.workers})
        return WorkersReply(workers=ledger.workers, busy=ledger.busy)

    def groups(self, request: Groups, user: str, request_id: bytes) -> GroupsReply:
        """Raises: BadRequest (no name, or no such group), Refused (it is there, or not empty)."""
        if request.action == "list":
            return self._groups()
        if request.name is None:
            raise BadRequest("name the group")
        return self._repeats.once(
            request_id, GroupsReply, lambda: self._change_group(request, user)
        )

    def _change_group(self, request: Groups, user: str) -> GroupsReply:
        name, known = request.name, request.name in self._ledger.groups
        assert name is not None
        if request.action == "rm":
            self._remove_group(name, user)
        elif request.action == "add" and known:
            raise Refused(f"group {name} is there already; jobctl groups set {name} --workers N")
        else:
            share = Share() if request.action == "add" else self._share(name)
            self._put_group(name, msgspec.structs.replace(share, workers=request.workers))
            self._note_workers(user, {"group": name, "workers": request.workers})
        return self._groups()

    def _remove_group(self, name: str, user: str) -> None:
        self._share(name)
        if name == DEFAULT_GROUP:
            raise Refused(f"group {name} always stays: jobs without --group are in it")
        jobs = self._store.unfinished_in(name, _NAMED + 1)
        if jobs:
            names = ", ".join(map(str, jobs[:_NAMED])) + (", …" if len(jobs) > _NAMED else "")
            raise Refused(
                f"group {name} is not empty ({names}); move them: jobctl edit ID --group G"
            )
        self._store.remove_group(name)
        self._ledger.set_group(name, None)
        self._note_workers(user, {"group": name, "removed": True})

    def _share(self, name: str) -> Share:
        share = self._ledger.groups.get(name)
        if share is None:
            raise BadRequest(f"there is no group {name!r}; see: jobctl groups")
        return share

    def _put_group(self, name: str, share: Share) -> None:
        self._store.set_group(name, share.workers, paused=share.paused)
        self._ledger.set_group(name, share)

    def _note_workers(self, user: str, data: dict[str, object]) -> None:
        self._store.event(None, "workers", user, now_us(), msgspec.json.encode(data))

    def _groups(self) -> GroupsReply:
        ledger = self._ledger
        return GroupsReply(
            groups=[
                GroupShare(
                    name=name,
                    workers=share.workers,
                    paused=share.paused,
                    busy=ledger.busy_in(name),
                    pending=ledger.queue.waiting_in(name),
                )
                for name, share in sorted(ledger.groups.copy().items())
            ]
        )

    # --- progress -----------------------------------------------------------------------------

    def progress(self, request: Progress, user: str, request_id: bytes) -> Acted:
        """Raises: NotFound, Refused (it does not run)."""
        return self._repeats.once(request_id, Acted, lambda: self._progress(request, user))

    def _progress(self, request: Progress, user: str) -> Acted:
        look = self._store.look(request.id)
        if look is None:
            raise NotFound(f"job {request.id} does not exist")
        if look.state is not State.RUNNING:
            raise Refused(f"job {request.id} is {look.state}, not running")
        reading = Reading(request.percent, request.message)
        note_progress(self._store, self._runs[request.id], reading, user, now_us())
        return Acted(done=[request.id])

    # --- shutting down --------------------------------------------------------------------------

    def drain(self) -> list[int]:
        """Start nothing more and take nothing more; the jobs that still run."""
        self._ledger.draining = True
        self._writer.nudge()
        return sorted(run.job for run in self._runs.all())

    def end_running(self) -> None:
        """For `stop --now`: every running job is told to end."""
        order = StopOrder(SHUTDOWN, 15, self._grace, boot_us())
        try:
            self._writer.call(lambda: self._order_all(order))
        except StoreFailed as error:
            # A full disk must not keep a machine from being shut down.
            log.warning("the order to end all jobs %s", error)
            for run in self._runs.all():
                run.order = run.order or order
        for run in self._runs.all():
            self._runs.carry_out_stop(run)


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


def _finished_word(state: State) -> str:
    return "been stopped" if state is State.STOPPED else str(state)
