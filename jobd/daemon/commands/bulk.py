"""A change of many jobs, in slices: others get their turn in between."""

from __future__ import annotations

import itertools
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from jobd.contract.call import Call, RequestId
from jobd.contract.errors import BadRequest, StoreFailed
from jobd.contract.id_set import IdSet
from jobd.contract.models import Acted, Note, Selector
from jobd.contract.states import State
from jobd.contract.wording import counted, listed
from jobd.core.pace import Pace
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.selection import EVERYTHING, Selection, filter_of
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.records import Filter, Look
from jobd.store.writer import NOTHING_CHANGED, Writer

SLICE: Final = 500
"""Jobs in one transaction of a mass change, at most; fewer where they take longer."""
_LEAST: Final = 50
"""The same, at least. A million jobs are then fewer slices than answers that are remembered: by
these a change that is asked for again knows what it has done.
"""
_NOTES: Final = 250_000
"""Jobs that one answer tells what was so already, or could not be done."""
_PATIENCE_S: Final = 15.0
"""Seconds after which a client hears that there is more, long before it takes us for dead."""


class SortedIds:
    """All jobs that a mass change is about, in order of id; a million of them cost no set."""

    def __init__(self, ids: Sequence[int] = ()) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, job: int) -> bool:
        place = bisect_left(self._ids, job)
        return place < len(self._ids) and self._ids[place] == job


class BulkResult:
    """What a mass change has done, job by job: the answer, as it comes to be."""

    def __init__(self, chosen: SortedIds | None = None, since: int | None = None) -> None:
        self.chosen = chosen or SortedIds()
        """All that are changed, this slice and the others."""
        self.since = since
        """The last event before the first slice."""
        self.done: list[int] = []
        self.notices: list[Note] = []
        self.errors: list[Note] = []
        self.attempts: dict[int, int] = {}

    def notice(self, job: int, text: str) -> None:
        self.notices.append(Note(id=job, text=text))

    def error(self, job: int, text: str) -> None:
        self.errors.append(Note(id=job, text=text))

    def has_moved(self, job: Look) -> None:
        """It was chosen by its state, and has another one by now."""
        if job.state.finished:
            self.has_finished(job)
        else:
            self.notice(job.id, f"is {job.state} by now")

    def has_finished(self, job: Look) -> None:
        """It is too late for what was asked, and nothing is wrong with that."""
        how = "been stopped" if job.state is State.STOPPED else job.state
        self.notice(job.id, f"has already {how}")

    def add(self, other: Acted) -> None:
        self.done += other.done
        self.notices += other.notices
        self.errors += other.errors
        self.attempts |= other.attempts
        self.since = other.since if self.since is None else self.since

    def acted(self, *, more: bool = False) -> Acted:
        return Acted(
            done=self.done, notices=_told(self.notices), errors=_told(self.errors),
            attempts=self.attempts, more=more, since=self.since,
        )  # fmt: skip


class Verb:
    """What is done to each of many jobs: an object for each request, with what that needs.

    The writer's thread calls `change`, in the transaction of a slice; and once more if that fails
    for the sake of what else was in it. So what concerns one slice alone is kept in variables and
    in the result, not in the object.
    """

    parents_first: ClassVar[bool] = False
    """Whether a job has its turn behind those of the chosen that it waits for."""
    spares_moved: ClassVar[bool] = True
    """Whether a job that was chosen by its state and has another by now is passed over. One that
    another filter does not mean any more always is."""

    def change(self, jobs: Iterator[Look], result: BulkResult) -> None:
        """All jobs of a slice that are still meant, each looked at in this transaction."""
        for job in jobs:
            self.decide(job, result)

    def decide(self, job: Look, result: BulkResult) -> None:
        """Do it to this job, or tell why not."""
        raise NotImplementedError

    def committed(self, jobs: Sequence[int]) -> None:
        """These were changed, and their slice is on disk. Called by the client's thread."""


class _Change(Struct, frozen=True):
    """What one request is about."""

    verb: Verb
    wanted: Filter
    """What has still to be so when a slice has its turn."""
    chosen: SortedIds
    pace: Pace

    def slices(self, ids: Iterator[int]) -> Iterator[list[int]]:
        """Each as long as those before it allow."""
        while piece := list(itertools.islice(ids, self.pace.size)):
            yield piece

    def still_meant(
        self, piece: Sequence[int], looks: Mapping[int, Look], changed: set[int], result: BulkResult
    ) -> Iterator[Look]:
        """In their order; of the others the result is told why not.

        `changed`: those that a filter does not mean any more, whatever their state is.
        """
        for job in piece:
            look = looks.get(job)
            if look is None:
                result.error(job, "does not exist")
            elif self.wanted.states and look.state not in self.wanted.states:
                result.has_moved(look)
            elif job in changed:
                result.notice(job, "has been changed meanwhile, and is left as it is")
            else:
                yield look


class Bulk:
    """Called by clients' threads; each slice is a transaction, and is answered once."""

    def __init__(
        self,
        jobs: Jobs,
        event_log: EventLog,
        reader: Reader,
        selection: Selection,
        idempotency: Idempotency,
        writer: Writer,
    ) -> None:
        self._writer = writer
        self._jobs = jobs
        self._event_log = event_log
        self._reader = reader
        self._selection = selection
        self._idempotency = idempotency

    def act(self, selector: Selector, call: Call, verb: Verb, *, dry_run: bool = False) -> Acted:
        """A change of many jobs in slices; each slice's answer is remembered on its own.

        After some time it answers with what has been done so far, and `more`: asked again under
        the same request id it goes on behind that. `dry_run`: each slice is taken back, as if the
        others had not been.

        Raises: BadRequest (nothing was named), StoreFailed (it says what had been changed before).
        """
        if not selector.named:
            raise BadRequest("name the jobs, or --all, or a filter such as --state failed")
        result, until, more = BulkResult(), time.monotonic() + _PATIENCE_S, False
        with self._idempotency.one_at_a_time(call.id):
            first, seen = self._resume(call.id, result)
            change, ids = self._choose(selector, verb, seen, result)
            left = (job for job in ids if job not in seen)
            for number, piece in enumerate(change.slices(left), first):
                # Never before something has been done: whoever asks again comes to an end.
                if more := number > first and bool(call.id) and time.monotonic() > until:
                    break
                if dry_run:
                    result.add(self._writer.rehearse(partial(self._unheard, change, piece)))
                    continue
                acted = self._save(change, piece, call.id.slice(number), result)
                verb.committed(acted.done)
                result.add(acted)
        return result.acted(more=more)

    def _resume(self, request_id: RequestId, result: BulkResult) -> tuple[int, IdSet]:
        """What an earlier sending of this request has done: slices and their jobs."""
        seen = IdSet()
        for number in itertools.count() if request_id else ():
            part = request_id.slice(number)
            answer = self._reader.answer_to(part.key)
            if answer is None:
                return number, seen
            known = self._idempotency.read(answer, part, Acted)
            result.add(known)
            for job in known.done:
                seen.add(job)
            for note in (*known.notices, *known.errors):
                seen.add(note.id)
        return 0, seen

    def _choose(
        self, selector: Selector, verb: Verb, seen: IdSet, result: BulkResult
    ) -> tuple[_Change, Sequence[int]]:
        """The jobs that are meant, in the order in which they have their turn."""
        ids, missing = self._selection.resolve(selector)
        for job in missing:
            # Not what the first sending of this request has itself removed.
            if job not in seen:
                result.error(job, "does not exist")
        wanted, chosen = filter_of(selector), SortedIds(ids)
        if not verb.spares_moved:
            wanted = replace(wanted, states=())
        if verb.parents_first:
            ids = self._selection.parents_first(ids, chosen.__contains__)
        return _Change(verb, wanted, chosen, Pace(_LEAST, SLICE)), ids

    def _save(
        self, change: _Change, piece: list[int], part: RequestId, before: BulkResult
    ) -> Acted:
        """One slice, on disk. `before`: what the slices before it have done."""
        try:
            return self._idempotency.once(
                part, Acted, partial(self._slice, change, piece, before.since)
            )
        except StoreFailed as error:
            raise _after(before.done, error) from error

    def _unheard(self, change: _Change, piece: list[int]) -> Acted:
        with self._event_log.taken_back():
            return self._slice(change, piece, None)

    def _slice(self, change: _Change, piece: list[int], since: int | None) -> Acted:
        begun = time.monotonic()
        result = BulkResult(change.chosen, self._event_log.last_seq() if since is None else since)
        looks = self._jobs.looks(piece)
        changed = self._changed(piece, change.wanted)
        change.verb.change(change.still_meant(piece, looks, changed, result), result)
        change.pace.took(len(piece), time.monotonic() - begun)
        return result.acted()

    def _changed(self, piece: Sequence[int], wanted: Filter) -> set[int]:
        """Those that were chosen by a filter which does not mean them any more."""
        filters = replace(wanted, states=(), held=False)
        if filters == EVERYTHING:
            return set()
        return set(piece) - self._jobs.matching(piece, filters)


def _after(done: Sequence[int], error: StoreFailed) -> StoreFailed:
    """What earlier slices have changed stays so, and is said."""
    if not done:
        return error
    said = f"Before that, {counted(len(done), 'job')} had been changed: {listed(done)}"
    return type(error)(error.message.replace(NOTHING_CHANGED, said))


def _told(notes: list[Note]) -> list[Note]:
    """An answer has its limit; the last one that is told says how many are not."""
    if len(notes) <= _NOTES:
        return notes
    last, left = notes[_NOTES - 1], len(notes) - _NOTES
    return [*notes[: _NOTES - 1], Note(id=last.id, text=f"{last.text} (and {left:,} more jobs)")]
