"""The use cases that change something: submit, start, stop, restart, rm, progress, workers.

Each checks what it is given, decides inside a transaction of the writer, where nothing else can
move, and answers when that is on disk. A request id makes a changing request safe to repeat: its
answer is committed with what it did, and asking again gets the same answer.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from jobd.clock import now_us
from jobd.contract.errors import BadRequest, NotFound, Refused, ShuttingDown, StoreFailed
from jobd.contract.models import (
    Acted,
    Note,
    Progress,
    Restart,
    Rm,
    Selector,
    Start,
    State,
    Stop,
    Submit,
    Submitted,
    View,
    Workers,
    WorkersReply,
)
from jobd.contract.paths import Paths
from jobd.core.ledger import Ledger
from jobd.core.progress import Reading
from jobd.core.rules import compile_rule
from jobd.core.states import BY_USER, SHUTDOWN, Move, after
from jobd.core.undo import Undo
from jobd.hub import Hub
from jobd.orders import entry_of, spec_of, terms_of
from jobd.runs import Run, Runs, note_progress
from jobd.selection import Selection
from jobd.store.reader import Reader
from jobd.store.records import StopOrder
from jobd.store.store import Look, Store
from jobd.store.writer import Writer

V = TypeVar("V", bound=View)
log = logging.getLogger(__name__)
SLICE: Final = 500
"""Jobs in one transaction of a mass change: others get their turn in between."""
_MAX_ARGUMENT: Final = 131_071
"""Bytes of one argument or variable, MAX_ARG_STRLEN of execve(2) without its NUL."""
_MAX_COMMANDS: Final = 1_000_000


class _Tally:
    """What a mass change did, job by job."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.notices: list[Note] = []
        self.errors: list[Note] = []
        self.attempts: dict[int, int] = {}

    def notice(self, job: int, text: str) -> None:
        self.notices.append(Note(id=job, text=text))

    def error(self, job: int, text: str) -> None:
        self.errors.append(Note(id=job, text=text))

    def add(self, other: Acted) -> None:
        self.done += other.done
        self.notices += other.notices
        self.errors += other.errors
        self.attempts |= other.attempts

    def acted(self) -> Acted:
        return Acted(
            done=self.done, notices=self.notices, errors=self.errors, attempts=self.attempts
        )


Each = Callable[[Look, _Tally], object]


class Manager:
    def __init__(
        self,
        *,
        paths: Paths,
        grace: float,
        ledger: Ledger,
        undo: Undo,
        store: Store,
        reader: Reader,
        writer: Writer,
        selection: Selection,
        runs: Runs,
        hub: Hub,
    ) -> None:
        self._paths = paths
        self._grace = grace
        self._ledger = ledger
        self._undo = undo
        self._store = store
        self._reader = reader
        self._writer = writer
        self._selection = selection
        self._runs = runs
        self._hub = hub
        self._requests = itertools.count(1)
        self._busy: dict[bytes, threading.Event] = {}
        self._busy_lock = threading.Lock()

    # --- submit ---------------------------------------------------------------------------

    def submit(self, request: Submit, user: str, request_id: bytes) -> Submitted:
        """Raises: BadRequest, ShuttingDown, StoreFailed."""
        _check_submit(request)
        with self._one_at_a_time(request_id):
            if len(request.commands) <= SLICE:
                return self._once(request_id, Submitted, lambda: self._submit_now(request, user))
            return self._submit_in_pieces(request, user, request_id)

    def _submit_now(self, request: Submit, user: str) -> Submitted:
        self._refuse_draining()
        first = self._ledger.reserve_ids(len(request.commands))
        environment = self._store.use_environment(request.environment, len(request.commands))
        self._insert(first, request, request.commands, user, environment)
        return self._admit(first, request)

    def _submit_in_pieces(self, request: Submit, user: str, request_id: bytes) -> Submitted:
        """Hidden until the last piece is written, then visible in one step."""
        commands = request.commands
        known, first, environment = self._writer.call(
            lambda: self._begin_batch(request, request_id)
        )
        if known is not None:
            return known
        for at in range(0, len(commands), SLICE):
            piece = commands[at : at + SLICE]
            self._writer.call(
                lambda at=at, piece=piece: self._insert(  # type: ignore[misc]
                    first + at, request, piece, user, environment
                )
            )
        return self._once(request_id, Submitted, lambda: self._end_batch(first, request))

    def _begin_batch(self, request: Submit, request_id: bytes) -> tuple[Submitted | None, int, int]:
        known = self._answered(request_id, Submitted)
        if known is not None:
            return known, 0, 0
        self._refuse_draining()
        count = len(request.commands)
        first = self._ledger.reserve_ids(count)
        environment = self._store.use_environment(request.environment, count)
        self._store.stage(first, first + count - 1, environment)
        return None, first, environment

    def _end_batch(self, first: int, request: Submit) -> Submitted:
        self._store.unstage(first)
        return self._admit(first, request)

    def _insert(
        self, first: int, request: Submit, commands: list[Any], user: str, environment: int
    ) -> None:
        now = now_us()
        specs = [spec_of(request, command) for command in commands]
        terms = terms_of(request.options, user, environment, now)
        self._store.insert_jobs(first, specs, terms, now)
        self._store.submitted_events(first, len(specs), user, now)

    def _admit(self, first: int, request: Submit) -> Submitted:
        count = len(request.commands)
        entry = entry_of(first, request.options)
        # Slots are filled at the end of this very transaction, by the best of those that wait.
        free = self._ledger.free_workers
        ahead = self._ledger.queue.ahead_of(entry, max(free, 0))
        starts_now = ahead < free
        self._ledger.admit_range(entry, first + count - 1)
        self._ledger.count(None, State.PENDING, count)
        return Submitted(
            first=first,
            last=first + count - 1,
            starts_now=starts_now,
            busy=min(self._ledger.busy + ahead + count, self._ledger.workers),
            workers=self._ledger.workers,
        )

    def _refuse_draining(self) -> None:
        if self._ledger.draining:
            raise ShuttingDown("jobd is shutting down and takes no new jobs")

    # --- changes of jobs that are there ---------------------------------------------------------

    def start(self, request: Start, user: str, request_id: bytes) -> Acted:
        return self._act(request.selector, request_id, lambda job, t: self._start(job, t, user))

    def _start(self, job: Look, tally: _Tally, user: str) -> None:
        if job.state in (State.PENDING, State.RUNNING):
            tally.notice(job.job, f"is already {job.state}")
        elif job.state is not State.STOPPED:
            tally.error(job.job, f"has {job.state}; to run it again: jobctl restart {job.job}")
        else:
            self._requeue(job, Move.RELEASE, user, tally)

    def restart(self, request: Restart, user: str, request_id: bytes) -> Acted:
        return self._act(
            request.selector,
            request_id,
            lambda job, t: self._restart(job, t, user, request.environment),
        )

    def _restart(
        self, job: Look, tally: _Tally, user: str, environment: dict[bytes, bytes] | None
    ) -> None:
        if job.state is State.PENDING:
            tally.notice(job.job, "is already pending")
        elif job.state is State.RUNNING:
            tally.error(job.job, f"is running; stop it first: jobctl stop {job.job}")
        else:
            if environment is not None:
                new = self._store.use_environment(environment, 1)
                self._store.renew_environment(job.job, job.environment, new)
            self._requeue(job, Move.RESTART, user, tally)

    def _requeue(self, job: Look, move: Move, user: str, tally: _Tally) -> None:
        state, now = after(job.state, move), now_us()
        self._store.requeued(job.job, now)
        data = b'{"attempt":%d}' % (job.attempt + 1)
        self._store.event(job.job, "restarted", user, now, data)
        self._ledger.count(job.state, state)
        self._ledger.admit(job.entry)
        tally.done.append(job.job)
        tally.attempts[job.job] = job.attempt + 1

    def stop(self, request: Stop, user: str, request_id: bytes) -> Acted:
        grace = self._grace if request.grace is None else request.grace
        order = StopOrder(BY_USER, request.signal, grace, now_us())
        acted = self._act(
            request.selector, request_id, lambda job, t: self._stop(job, t, user, order)
        )
        for job in acted.done:
            if job not in self._runs:
                self._hub.finished(job)
        return acted

    def _stop(self, job: Look, tally: _Tally, user: str, order: StopOrder) -> None:
        if job.state is State.RUNNING:
            self._order_stop(self._runs[job.job], order)
            tally.done.append(job.job)
        elif job.state is State.PENDING:
            state, now = after(job.state, Move.STOP), now_us()
            self._store.stopped_pending(job.job, BY_USER, now)
            self._store.event(job.job, "stopped", user, now, b'{"reason":"by user"}')
            self._ledger.withdraw(job.entry)
            self._ledger.count(job.state, state)
            tally.done.append(job.job)
        else:
            tally.notice(job.job, f"has already {_finished_word(job.state)}")

    def _order_all(self, order: StopOrder) -> None:
        for run in self._runs.all():
            # What a user has stopped stays stopped by the user.
            before = run.order
            reason = order.reason if before is None else before.reason
            self._order_stop(run, msgspec.structs.replace(order, reason=reason))

    def _order_stop(self, run: Run, order: StopOrder) -> None:
        before = run.order
        self._store.stop_ordered(run.job, order)
        run.order = order
        self._undo.add(lambda: setattr(run, "order", before))

    def rm(self, request: Rm, user: str, request_id: bytes) -> Acted:
        acted = self._act(request.selector, request_id, lambda job, t: self._rm(job, t, user))
        self.delete_outputs()
        return acted

    def _rm(self, job: Look, tally: _Tally, user: str) -> None:
        if not job.state.finished:
            tally.error(job.job, f"is {job.state}; stop it first, or use rm --force")
            return
        self._store.removed(job.job, job.attempt, job.environment)
        self._store.event(job.job, "removed", user, now_us())
        self._ledger.count(job.state, None)
        tally.done.append(job.job)

    def delete_outputs(self) -> None:
        """Delete the files of removed jobs; what a crash left over is found again at the start."""
        while gone := self._reader.deletions(SLICE):
            for job, attempts in gone:
                for attempt in range(1, attempts + 1):
                    _delete(self._paths.output_of(job, attempt))
            self._writer.call(lambda gone=gone: self._store.deleted(job for job, _ in gone))  # type: ignore[misc]

    def _act(self, selector: Selector, request_id: bytes, each: Each) -> Acted:
        """A change of many jobs in slices; each slice's answer is remembered on its own."""
        if not selector.named:
            raise BadRequest("name the jobs, or --all, or a filter such as --state failed")
        tally = _Tally()
        with self._one_at_a_time(request_id):
            number, seen = self._resume(request_id, tally)
            ids, missing = self._selection.resolve(selector)
            for job in missing if not number else ():
                tally.error(job, "does not exist")
            left = (job for job in ids if job not in seen)
            for piece in iter(lambda: list(itertools.islice(left, SLICE)), []):
                key = _slice_key(request_id, number)
                number += 1
                tally.add(
                    self._once(key, Acted, lambda piece=piece: self._slice(piece, each))  # type: ignore[misc]
                )
        for job in tally.done:
            run = self._runs.get(job)
            if run is not None:
                self._runs.carry_out_stop(run)
        return tally.acted()

    def _resume(self, request_id: bytes, tally: _Tally) -> tuple[int, set[int]]:
        """What an earlier sending of this request has done: slices and their jobs."""
        seen: set[int] = set()
        for number in itertools.count() if request_id else ():
            key = _slice_key(request_id, number)
            known = self._writer.call(lambda key=key: self._answered(key, Acted))  # type: ignore[misc]
            if known is None:
                return number, seen
            tally.add(known)
            seen.update(known.done, (n.id for n in known.notices), (n.id for n in known.errors))
        return 0, seen

    def _slice(self, piece: list[int], each: Each) -> Acted:
        tally = _Tally()
        for job in piece:
            look = self._store.look(job)
            if look is None:
                tally.error(job, "does not exist")
            else:
                each(look, tally)
        return tally.acted()

    # --- small ones ---------------------------------------------------------------------------

    def progress(self, request: Progress, user: str, request_id: bytes) -> Acted:
        """Raises: NotFound, Refused (it does not run)."""
        return self._once(request_id, Acted, lambda: self._progress(request, user))

    def _progress(self, request: Progress, user: str) -> Acted:
        look = self._store.look(request.id)
        if look is None:
            raise NotFound(f"job {request.id} does not exist")
        if look.state is not State.RUNNING:
            raise Refused(f"job {request.id} is {look.state}, not running")
        reading = Reading(request.percent, request.message)
        note_progress(self._store, self._runs[request.id], reading, user, now_us())
        return Acted(done=[request.id])

    def workers(self, request: Workers, user: str, request_id: bytes) -> WorkersReply:
        return self._once(request_id, WorkersReply, lambda: self._workers(request, user))

    def _workers(self, request: Workers, user: str) -> WorkersReply:
        ledger = self._ledger
        if request.workers is not None and request.workers != ledger.workers:
            ledger.set_workers(request.workers)
            self._store.setting("workers", str(request.workers))
            data = msgspec.json.encode({"workers": request.workers})
            self._store.event(None, "workers", user, now_us(), data)
        return WorkersReply(workers=ledger.workers, busy=ledger.busy)

    # --- shutting down --------------------------------------------------------------------------

    def drain(self) -> list[int]:
        """Start nothing more and take nothing more; the jobs that still run."""
        self._ledger.draining = True
        self._writer.nudge()
        return sorted(run.job for run in self._runs.all())

    def end_running(self) -> None:
        """For `stop --now`: every running job is told to end."""
        order = StopOrder(SHUTDOWN, 15, self._grace, now_us())
        try:
            self._writer.call(lambda: self._order_all(order))
        except StoreFailed as error:
            # A full disk must not keep a machine from being shut down.
            log.warning("the order to end all jobs %s", error)
            for run in self._runs.all():
                run.order = run.order or order
        for run in self._runs.all():
            self._runs.carry_out_stop(run)

    # --- asked again --------------------------------------------------------------------------

    def _once(self, request_id: bytes, kind: type[V], action: Callable[[], V]) -> V:
        """Do it and remember the answer in the same commit; if it was done already, only answer."""

        def inside() -> V:
            known = self._answered(request_id, kind)
            if known is not None:
                return known
            answer = action()
            if request_id:
                now = now_us()
                self._store.answer(request_id, msgspec.msgpack.encode(answer), now)
                if next(self._requests) % 256 == 0:
                    self._store.forget_requests(now)
            return answer

        return self._writer.call(inside)

    def _answered(self, request_id: bytes, kind: type[V]) -> V | None:
        known = self._store.answered(request_id) if request_id else None
        return None if known is None else msgspec.msgpack.decode(known, type=kind)

    @contextmanager
    def _one_at_a_time(self, request_id: bytes) -> Iterator[None]:
        """A client that asks again while its first sending is still at work waits for that."""
        mine = threading.Event()
        while request_id:
            with self._busy_lock:
                other = self._busy.setdefault(request_id, mine)
            if other is mine:
                break
            other.wait()
        try:
            yield
        finally:
            with self._busy_lock:
                self._busy.pop(request_id, None)
            mine.set()


def _delete(path: Path) -> None:
    """What cannot be deleted is left where it is: it must not keep others from being deleted."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s stays: %s", path, error.strerror)


def _slice_key(request_id: bytes, number: int) -> bytes:
    return request_id + number.to_bytes(4, "big") if request_id else b""


def _finished_word(state: State) -> str:
    return "been stopped" if state is State.STOPPED else str(state)


def _check_submit(request: Submit) -> None:
    """Raises: BadRequest, naming the field."""
    if not 1 <= len(request.commands) <= _MAX_COMMANDS:
        raise BadRequest(f"commands: between 1 and {_MAX_COMMANDS:,} are needed")
    if any(not character.isprintable() for character in request.options.name):
        raise BadRequest("--name: control characters and line breaks are not allowed")
    try:
        compile_rule(request.options.progress)
    except ValueError as error:
        raise BadRequest(f"--progress: {error}") from None
    if not os.path.isabs(request.cwd) or b"\0" in request.cwd:
        raise BadRequest("--cwd: an absolute path without NUL bytes is needed")
    for command in request.commands:
        _check_argv(command.argv, shell=command.shell)
    for name, value in request.environment.items():
        if not name or b"=" in name or b"\0" in name or b"\0" in value:
            raise BadRequest(f"--env: {name!r} cannot be a variable of the environment")
        if len(name) + len(value) + 1 > _MAX_ARGUMENT:
            raise BadRequest(f"--env: {name!r} is longer than {_MAX_ARGUMENT:,} bytes")


def _check_argv(argv: list[bytes], *, shell: bool) -> None:
    if shell and len(argv) != 1:
        raise BadRequest("command: a shell line is exactly one text")
    if not argv[0]:
        raise BadRequest("command: it is empty")
    for number, word in enumerate(argv):
        if b"\0" in word:
            raise BadRequest(f"command: argument {number} holds a NUL byte")
        if len(word) > _MAX_ARGUMENT:
            raise BadRequest(
                f"command: argument {number} is longer than {_MAX_ARGUMENT:,} bytes, the most "
                "that Linux passes to a program; put it into a file"
            )
