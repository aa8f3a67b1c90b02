"""`logs` of several jobs: the output of each as it stands, or of all at once as it grows.

Whoever follows asks for one thing: what has happened, and which of the running jobs have printed
more than is known. Only those are read on, so that silence costs nothing, however many run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jobd.client import follow, outputs
from jobd.client.client import Client
from jobd.client.stalls import Waits, check_events, check_piece
from jobd.contract.errors import NotFound
from jobd.contract.models import MAX_WORKERS, Event, Events, Job, List, Output, Piece, Selector
from jobd.contract.states import UNFINISHED, EventName, State
from jobd.contract.wire import MAX_WAIT

_MOST_ATTEMPTS: Final = 100_000
"""Of one job; it has far fewer retries."""
_ENDS: Final = frozenset(
    {EventName.COMPLETED, EventName.FAILED, EventName.STOPPED, EventName.RETRYING}
)
"""Events behind which an attempt prints nothing more."""


class Chunk(Struct, frozen=True):
    """Some output of a job."""

    job: int
    piece: Piece
    over: bool
    """Nothing follows of this attempt."""


class _Track(Struct):
    """How far a job's output has been read."""

    attempt: int
    latest: int
    """The last attempt that is known of: what comes before it is read to its end."""
    offset: int = 0
    seen: bytes = b""
    tail: int | None = None
    over: bool = False


def standing(
    client: Client, ids: Iterable[int], tail: int | None, *, merged: bool
) -> Iterator[Chunk]:
    """The output of one job after the other; `merged`: of all its attempts. Those that have none
    are left out.
    """
    for job in ids:
        latest = min(client.output(Output(id=job, tail=0)).attempt, _MOST_ATTEMPTS)
        for attempt in range(1 if merged else latest, latest + 1):
            yield from _whole(client, Output(id=job, attempt=attempt or None, tail=tail))


def _whole(client: Client, request: Output) -> Iterator[Chunk]:
    try:
        for piece in outputs.output(client, request, follow=False):
            yield Chunk(piece.id, piece, over=not piece.data or piece.ended)
    except NotFound:
        return  # of an attempt that never started, or that is kept no more


class Following:
    """The output of all jobs that a selector means, as they run; also of those that come to match
    its filters. For one thread.
    """

    def __init__(
        self, client: Client, selector: Selector, tail: int | None, *, merged: bool
    ) -> None:
        self._client = client
        self._selector = selector
        self._tail = tail
        self._merged = merged
        self._tracks: dict[int, _Track] = {}
        self._is_waiting = False
        self._missing: list[int] = []

    @property
    def is_waiting(self) -> bool:
        """Whether some had not started when the following began."""
        return self._is_waiting

    @property
    def known(self) -> Iterable[int]:
        """Those that had started when the following began."""
        return self._tracks.keys()

    @property
    def missing(self) -> Sequence[int]:
        """Single ids that did not exist then."""
        return self._missing

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to follow then."""
        return not (self._tracks or self._is_waiting)

    def begin(self) -> int:
        """Look at what there is. Gives the event behind which to go on."""
        after = self._client.events(Events(after=None)).next
        selector = self._selector
        # Of a million that wait none need be looked at before it starts.
        ended = None if selector.ids or selector.states else 0
        request = List(selector=selector, pending=0, finished=ended)
        for page in follow.pages(self._client, request):
            self._missing += page.missing
            for job in page.jobs:
                self._add(job)
        self._is_waiting = self._are_any(State.PENDING)
        return after

    def chunks(self, after: int) -> Iterator[Chunk]:
        """Until none of them is left to run. Raises: JobdError."""
        for job in sorted(self._tracks):
            yield from self._read(job)
        waits = Waits()
        while True:
            known = self._known()
            wait = MAX_WAIT if self._is_unfinished() else 0.0
            page = self._client.events(Events(after=after, wait=wait, written=known))
            check_events(after, page)
            after, news = page.next, bool(page.events)
            for job in dict.fromkeys([*self._taken(page.events), *page.written]):
                for chunk in self._read(job):
                    news = news or bool(chunk.piece.data)
                    yield chunk
            waits.check(wait, news=news)
            if not wait and not page.events:
                return

    def _add(self, job: Job) -> None:
        if job.attempt:
            first = 1 if self._merged else job.attempt
            self._tracks[job.id] = _Track(attempt=first, latest=job.attempt, tail=self._tail)

    def _known(self) -> dict[int, int]:
        tracks = [(job, track.offset) for job, track in self._tracks.items() if not track.over]
        return dict(tracks[:MAX_WORKERS])

    def _is_unfinished(self) -> bool:
        """Also what has not started yet, and what came meanwhile."""
        if any(not track.over for track in self._tracks.values()):
            return True
        return self._are_any(*UNFINISHED)

    def _are_any(self, *states: State) -> bool:
        """Whether there may be a job in one of these states."""
        if self._selector.states and not set(states) & set(self._selector.states):
            return False
        chosen = replace(self._selector, states=[*states])
        page = self._client.list(List(selector=chosen, limit=1, only_ids=True))
        return bool(page.ids or page.next)

    def _taken(self, events: Iterable[Event]) -> list[int]:
        """The jobs of which there is something to read."""
        started = [event for event in events if event.event == EventName.STARTED and event.job]
        unknown = {event.job for event in started if event.job not in self._tracks}
        meant = self._meant({job for job in unknown if job is not None})
        found = []
        for event in events:
            job = event.job
            if job is None:
                continue
            if event.event == EventName.STARTED and (job in self._tracks or job in meant):
                self._started(job, event.data.get("attempt"))
                found.append(job)
            elif event.event in _ENDS and job in self._tracks:
                found.append(job)
        return found

    def _started(self, job: int, number: object) -> None:
        latest = number if isinstance(number, int) else 1
        track = self._tracks.get(job)
        if track is None:
            self._tracks[job] = _Track(attempt=1 if self._merged else latest, latest=latest)
        else:
            track.latest = min(max(track.latest, latest), _MOST_ATTEMPTS)

    def _meant(self, jobs: set[int]) -> set[int]:
        """Which of these the selector means, whatever has become of them by now."""
        if not jobs:
            return set()
        ids = follow.ranges(jobs)
        chosen = replace(self._selector, states=[], ids=ids, all=False)
        found, _ = follow.ids_of(self._client, chosen)
        if not self._selector.ids:
            return set(found)
        return {job for job in found if any(low <= job <= high for low, high in self._selector.ids)}

    def _read(self, job: int) -> Iterator[Chunk]:
        """What there is of it now, through as many attempts as there have been."""
        track = self._tracks.get(job)
        while track is not None:
            yield from self._read_attempt(job, track)
            if not track.over or track.attempt >= track.latest:
                return
            track = _Track(attempt=track.attempt + 1, latest=track.latest)
            self._tracks[job] = track

    def _read_attempt(self, job: int, track: _Track) -> Iterator[Chunk]:
        while not track.over:
            request = Output(
                id=job, attempt=track.attempt, offset=track.offset, seen=track.seen, tail=track.tail
            )
            try:
                piece = self._client.output(request)
            except NotFound:
                track.over = True  # removed, or that attempt is kept no more
                return
            if track.tail is None:
                check_piece(track.offset, piece)
            track.seen = outputs.seen_up_to(track.seen, piece)
            track.offset, track.tail, track.over = piece.behind, None, piece.ended
            yield Chunk(job, piece, over=piece.ended)
            if not piece.data:
                return
