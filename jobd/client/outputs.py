"""What jobs print, as one thing: as it grows, of one attempt or of all, until it is over.

Each round is a short call with an offset, so that it goes on after the daemon restarts. An answer
that leads nowhere is an error (JobdError, `jobd.client.stalls`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jobd.client.client import Client
from jobd.client.stalls import MOST_ATTEMPTS, Waits, check_events, check_piece
from jobd.contract.errors import NotFound
from jobd.contract.models import SEEN, Events, Output, Piece, Selector
from jobd.contract.states import FINISHED, State
from jobd.contract.wire import MAX_WAIT


def output(client: Client, request: Output, *, follow: bool) -> Iterator[Piece]:
    """Pieces from `request.offset` or its tail on; `follow` goes on until the attempt ends."""
    wait = MAX_WAIT if follow else 0.0
    # Not held back: what is written meanwhile belongs behind the tail, not into it; and why there
    # is nothing is told at once.
    request = msgspec.structs.replace(request, wait=0.0, follows=follow)
    waits, before = Waits(), None
    while True:
        piece = client.output(request)
        if request.tail is None:
            check_piece(request.offset, piece)
        about = piece.attempt, piece.state
        waits.check(request.wait, news=bool(piece.data) or about != before)
        before = about
        yield piece
        if piece.ended or not (piece.data or follow):
            return
        started = piece.state is not State.PENDING
        request = msgspec.structs.replace(
            request,
            id=piece.id,
            # From its start on the same attempt, whatever happens to the job.
            attempt=piece.attempt if started else request.attempt,
            offset=piece.behind,
            seen=seen_up_to(request.seen, piece),
            tail=None,
            wait=wait,
        )


def seen_up_to(before: bytes, piece: Piece) -> bytes:
    """The last bytes of the output up to where the piece ends, as far as they are known."""
    if piece.behind != piece.offset + len(piece.data):
        return b""  # it ends with words about what was cut
    return ((b"" if piece.anew else before) + piece.data)[-SEEN:]


def all_output(client: Client, job: int) -> Iterator[Piece]:
    """The output of every attempt, in order and whole, until the job has finished.

    An attempt is asked for by its number: "the latest" may be over before anybody asks for it.
    """
    attempt, waits = 0, Waits(most=MOST_ATTEMPTS)
    while (latest := _started_after(client, job, attempt)) is not None:
        while attempt < latest:
            attempt += 1
            waits.check(MAX_WAIT, news=False)
            try:
                yield from output(client, Output(id=job, attempt=attempt), follow=True)
            except NotFound:
                latest = client.show(job).job.attempt
                # Taken back before its process came to be: the number comes again. Otherwise
                # only its output is gone.
                attempt = min(attempt, latest)


def _started_after(client: Client, job: int, attempt: int) -> int | None:
    """Wait until there is a later attempt: the latest one. None: the job finished without."""
    chosen = Selector(ids=[(job, job)])
    # The cursor first: what changes behind this look wakes us.
    after, waits = client.events(Events(after=None)).next, Waits()
    while True:
        found = client.show(job).job
        if found.attempt > attempt:
            return found.attempt
        if found.state in FINISHED:
            return None
        page = client.events(Events(selector=chosen, after=after, wait=MAX_WAIT))
        check_events(after, page)
        waits.check(MAX_WAIT, news=bool(page.events))
        after = page.next
