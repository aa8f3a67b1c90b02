"""New jobs, one, a batch, or an array: all of a request, or none of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Final

from msgspec import Struct

from jobd.contract.call import Call
from jobd.contract.errors import BadRequest, Refused
from jobd.contract.models import MAX_ARRAY, Options, Submit, Submitted
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.admission import PIECE, Admission, Link, Ranges
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.specs import check_submit, entry_of, same_submit, spec_of
from jobd.store.batches import Batches
from jobd.store.jobs import Jobs
from jobd.store.writer import Writer
from jobd.system.clock import now_us

_ELEMENTS: Final = 2500
"""Elements of an array that are written in one transaction."""
_LINKS: Final = 5000
"""Dependencies that are written in one transaction."""
_MAX_LINKS: Final = 1_000_000
"""Dependencies of one request."""


class _Batch(Struct, frozen=True):
    """A request that has begun to be written."""

    first: int
    count: int
    environment: int
    links: tuple[Link, ...]
    """What each of its jobs waits for."""

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @property
    def room(self) -> int:
        """Jobs whose dependencies are written in one transaction."""
        return max(1, _LINKS // max(1, len(self.links)))

    @property
    def piece(self) -> int:
        """Jobs with commands of their own that are written in one transaction."""
        return min(PIECE, self.room)


class Intake:
    """Called by clients' threads. All jobs of a request become visible in one step, or none."""

    def __init__(
        self,
        admission: Admission,
        jobs: Jobs,
        batches: Batches,
        moves: Moves,
        writer: Writer,
        idempotency: Idempotency,
    ) -> None:
        self._admission = admission
        self._jobs = jobs
        self._batches = batches
        self._moves = moves
        self._writer = writer
        self._idempotency = idempotency

    def submit(self, request: Submit, call: Call) -> Submitted:
        """Raises: BadRequest, Refused (the key is another job's), ShuttingDown, StoreFailed."""
        check_submit(request)
        count = _count(request)
        with self._idempotency.one_at_a_time(call.id):
            if count <= PIECE and not request.array:
                return self._idempotency.once(
                    call.id, Submitted, lambda: self._submit_now(request, call.user)
                )
            return self._submit_in_pieces(request, count, call)

    def _submit_now(self, request: Submit, user: str) -> Submitted:
        known = self._with_key(request)
        if known is not None:
            return known
        batch = self._begin(request, len(request.commands))
        for at in range(0, batch.count, batch.piece):
            self._write_commands(batch, request, at, user)
        return self._show(batch, request.options)

    def _with_key(self, request: Submit) -> Submitted | None:
        """The job that has the key already. Raises: Refused (it is another command)."""
        key = request.options.key
        found = None if key is None else self._jobs.by_key(key)
        if found is None:
            return None
        job, spec = found
        if self._batches.is_staged(job):
            raise Refused(
                f"--key: {key!r} belongs to a graph that is being submitted just now; ask again"
            )
        wanted = spec_of(request.commands[0], request.options, cwd=request.cwd, umask=request.umask)
        if not same_submit(spec, wanted):
            raise Refused(
                f"--key: {key!r} belongs to job {job}, which is another command or has another "
                f"directory; take another key, or remove that job: jobctl rm {job}"
            )
        return self._admission.submitted(job, job, existing=True)

    def _submit_in_pieces(self, request: Submit, count: int, call: Call) -> Submitted:
        """Hidden until the last piece is written, then visible in one step."""
        known, batch = self._writer.call(lambda: self._begin_hidden(request, count, call.id))
        if known is not None or batch is None:
            assert known is not None
            return known
        with self._admission.whole(batch.first):
            if request.array:
                self._write_array(batch, request, call.user)
            else:
                for at in range(0, count, batch.piece):
                    self._writer.call(partial(self._write_commands, batch, request, at, call.user))
            return self._idempotency.once(
                call.id, Submitted, lambda: self._reveal(batch, request.options)
            )

    def _begin_hidden(
        self, request: Submit, count: int, request_id: bytes
    ) -> tuple[Submitted | None, _Batch | None]:
        known = self._idempotency.answered(request_id, Submitted)
        if known is not None:
            return known, None
        batch = self._begin(request, count)
        self._batches.stage(batch.first, batch.last, batch.environment)
        return None, batch

    def _begin(self, request: Submit, count: int) -> _Batch:
        """All checks that look at the queue, and only then the first write."""
        self._admission.check_place(request.options)
        links = self._admission.links_of(request.options)
        if len(links) * count > _MAX_LINKS:
            raise BadRequest(
                f"--after: {count:,} jobs that wait for {len(links):,} each are more than "
                f"{_MAX_LINKS:,} dependencies; let one job wait for all of them and the rest for it"
            )
        first, environment = self._admission.reserve(count, request.environment)
        return _Batch(first, count, environment, links)

    # --- writing --------------------------------------------------------------------------

    def _write_commands(self, batch: _Batch, request: Submit, at: int, user: str) -> None:
        """A piece, or all where that is no more than one."""
        commands, now = request.commands[at : at + batch.piece], now_us()
        options, first = request.options, batch.first + at
        specs = [spec_of(c, options, cwd=request.cwd, umask=request.umask) for c in commands]
        parents = self._admission.parents(batch.links)
        terms = self._admission.terms(options, user, batch.environment, parents, now)
        self._moves.added(first, specs, terms, parents, now)

    def _write_array(self, batch: _Batch, request: Submit, user: str) -> None:
        options = request.options
        spec = spec_of(request.commands[0], options, cwd=request.cwd, umask=request.umask)
        self._writer.call(lambda: self._batches.add_array(batch.first, batch.count, spec))
        step = min(_ELEMENTS, batch.room)
        first = batch.first
        for indexes in _pieces(request.array, step):
            self._writer.call(partial(self._write_elements, batch, options, first, indexes, user))
            first += len(indexes)
        self._writer.call(lambda: self._moves.added_array(batch.first, batch.last, user))

    def _write_elements(
        self, batch: _Batch, options: Options, first: int, indexes: range, user: str
    ) -> None:
        now, parents = now_us(), self._admission.parents(batch.links)
        terms = self._admission.terms(options, user, batch.environment, parents, now)
        self._moves.added_elements(batch.first, first, indexes, terms, parents, now=now)

    # --- becoming visible -------------------------------------------------------------------

    def _reveal(self, batch: _Batch, options: Options) -> Submitted:
        self._admission.share_of(
            options.group
        )  # it may have been removed before the first job was written
        self._batches.unstage(batch.first)
        return self._show(batch, options)

    def _show(self, batch: _Batch, options: Options) -> Submitted:
        """Count them, and let those that wait for nothing into the ready queue."""
        entry = entry_of(batch.first, options)
        if batch.links or options.hold or options.at is not None or options.delay:
            self._moves.revealed(batch.first, batch.last)
            return self._admission.submitted(batch.first, batch.last)
        answer = self._admission.submitted(batch.first, batch.last, entry)
        self._moves.revealed(batch.first, batch.last, entry)
        return answer


def _count(request: Submit) -> int:
    """Jobs that it makes. Raises: BadRequest (an array that is none)."""
    if not request.array:
        return len(request.commands)
    count = 0
    for first, last in request.array:
        if last < first:
            raise BadRequest(f"--array: {first}-{last}: the lower index comes first")
        count += last - first + 1
        if count > MAX_ARRAY:
            raise BadRequest(f"--array: more than {MAX_ARRAY:,} elements")
    ordered = sorted(request.array)
    for (_, last), (first, _) in pairwise(ordered):
        if first <= last:
            raise BadRequest(f"--array: index {first} comes twice")
    return count


def _pieces(ranges: Ranges, size: int) -> Iterator[range]:
    for first, last in ranges:
        for at in range(first, last + 1, size):
            yield range(at, min(at + size, last + 1))
