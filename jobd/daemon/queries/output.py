"""What a job has printed, a piece at a time; to those who follow as it is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from jobd.contract.call import Call
from jobd.contract.errors import LEAVING, NotFound, NotRunning
from jobd.contract.models import Output, Piece
from jobd.contract.states import State
from jobd.contract.wire import MAX_WAIT
from jobd.core.ledger import Ledger
from jobd.daemon.queries.followers import Followers
from jobd.daemon.queries.missing import Missing
from jobd.daemon.queries.views import exact_path, path_text
from jobd.outputs.workspace import Output as Written
from jobd.outputs.workspace import Workspaces
from jobd.store.reader import Reader
from jobd.store.records import JobRow
from jobd.system.clock import now_us

_GATHER_S: Final = 0.015
"""Seconds for which a job may go on writing before a follower gets it: not each byte by itself."""
_ENOUGH: Final = 65536
"""Bytes for which nobody waits for more."""


class OutputQuery:
    """Answers `output`. Clients' threads call it, and wait in it."""

    def __init__(
        self,
        workspaces: Workspaces,
        ledger: Ledger,
        reader: Reader,
        followers: Followers,
        lost: Callable[[int], str | None],
        why: Callable[[JobRow, float], str],
    ) -> None:
        """`lost`: what a power cut took of a job's output; `why`: why a pending job waits at a time
        (seconds since the epoch). Both in words.
        """
        self._why = why
        self._workspaces = workspaces
        self._ledger = ledger
        self._reader = reader
        self._followers = followers
        self._missing = Missing(workspaces, reader, lost)

    def output(self, request: Output, _: Call) -> Piece:
        """Raises: NotFound (no such job or attempt, or its output is gone), NotRunning (the daemon
        leaves before there is more).
        """
        job = self._reader.latest_started() if request.id is None else request.id
        if job is None:
            raise NotFound("no job has been started yet")
        try:
            if request.wait <= 0:
                return self._look(job, request)[0]
            return self._followed(job, request, time.monotonic() + min(request.wait, MAX_WAIT))
        finally:
            if not self._ledger.busy:
                self._workspaces.release()

    def _followed(self, job: int, request: Output, until: float) -> Piece:
        """Held back until there is something, or until then (on the monotonic clock)."""
        leaving, gathered = self._followers.closed, False
        with self._followers.follow(job) as follower:
            while True:
                last = self._followers.closed
                follower.forget()
                piece, output = self._look(job, request)
                left = until - time.monotonic()
                if leaving and not (piece.data or piece.ended or piece.anew):
                    raise NotRunning(LEAVING)
                if last or piece.ended or piece.anew or left <= 0 or len(piece.data) >= _ENOUGH:
                    return piece
                if not piece.data:
                    running = output if piece.state is State.RUNNING else None
                    follower.wait([] if running is None else [running], left)
                elif gathered:
                    return piece
                else:
                    gathered = True
                    follower.gather(min(_GATHER_S, left))

    def _look(self, job: int, request: Output) -> tuple[Piece, Written | None]:
        """What there is, and what it is of; None: there is none yet."""
        # The state first: what the file then holds is all that a finished attempt ever wrote.
        row = self._reader.job(job)
        if row is None:
            raise NotFound(f"job {job} does not exist")
        attempt = request.attempt or row.attempt
        if attempt > row.attempt:
            raise NotFound(f"job {job} has no attempt {attempt}")
        current = attempt == row.attempt and not row.state.finished
        # A job that was restarted and waits: its coming attempt has no output yet.
        if attempt == 0 or (row.state is State.PENDING and request.attempt is None):
            coming = attempt + (row.state is State.PENDING)
            return self._no_output(row, request, coming), None
        output = self._workspaces.output_of(self._engine_of(row, attempt), job, attempt)
        over = not current or row.state is State.PENDING
        began = row.pid is not None or row.exit_code is not None or row.signal is not None
        found = output.piece(
            request.offset, request.tail, missing_ok=not (over and began), seen=request.seen
        )
        is_whole = attempt == row.attempt and over and found.last
        path = output.stored().path if over else output.path
        piece = Piece(
            id=job,
            attempt=attempt,
            data=found.data,
            offset=found.offset,
            ended=over and found.last,
            state=row.state,
            path=path_text(path),
            path_bytes=exact_path(path),
            next=found.next,
            clipped=found.clipped,
            lost=self._missing.of(job, output) if is_whole else None,
            anew=found.anew,
        )
        return piece, output

    def _engine_of(self, row: JobRow, attempt: int) -> str | None:
        if attempt == row.attempt and row.engine is not None:
            return row.engine
        attempts = self._reader.attempts(row.id)
        return next((one.engine for one in attempts if one.attempt == attempt), None)

    def _no_output(self, row: JobRow, request: Output, attempt: int) -> Piece:
        path = self._workspaces.path_of(row.engine, row.id, attempt) if attempt else None
        is_told = row.state is State.PENDING and not request.wait
        return Piece(
            id=row.id,
            attempt=attempt,
            data=b"",
            offset=request.offset,
            ended=row.state.finished,
            state=row.state,
            path=path_text(path or ""),
            path_bytes=exact_path(path or ""),
            # Whoever is held back has been told, and it may take thousands of rows to say.
            why=self._why(row, now_us() / 1e6) if is_told else None,
        )
