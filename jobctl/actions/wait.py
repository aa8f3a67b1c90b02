"""`submit --wait`: stay with what was submitted, and tell what becomes of it as it does."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from jobctl.actions import exit_codes
from jobctl.actions.bulk import stop_and_wait
from jobd.client import follow, outputs
from jobd.client.client import Client
from jobd.contract.errors import NotFound
from jobd.contract.models import Piece, Selector, Submitted, Waited


class Audience(Protocol):
    """Who is told while `wait_for` waits; it calls each method in its own thread."""

    def waiting(self, submitted: Submitted) -> None:
        """The wait begins."""

    def output(self, data: bytes) -> bool:
        """The next bytes that the job printed; False: nobody wants more."""

    def output_anew(self, piece: Piece) -> None:
        """The job has made its output shorter, or replaced it; the piece is from its begin."""

    def output_over(self) -> None:
        """No more output comes."""

    def stopping(self, submitted: Submitted) -> None:
        """Interrupted, and the jobs are stopped, too."""

    def left(self, submitted: Submitted) -> None:
        """Interrupted, and the jobs go on."""

    def ending(self, jobs: Sequence[int]) -> AbstractContextManager[object]:
        """Entered while these, which are told to stop, come to their end."""

    def ended(self, waited: Waited, submitted: Submitted) -> None:
        """How it ended; nothing is left of jobs that somebody removed."""


def wait_for(
    client: Client, submitted: Submitted, audience: Audience, *, stop: bool = False
) -> int:
    """Stay until what was submitted has finished. Gives the exit code.

    Ctrl-C ends only us, or with `stop` the jobs as well; a second one then leaves them to it.
    """
    try:
        audience.waiting(submitted)
        waited = None
        if submitted.first == submitted.last:
            waited = _stream(client, submitted.first, audience)
        return _verdict(client, submitted, audience, waited)
    except KeyboardInterrupt:
        if not stop:
            audience.left(submitted)
            return exit_codes.INTERRUPTED
    return _stop(client, submitted, audience)


def _stop(client: Client, submitted: Submitted, audience: Audience) -> int:
    audience.stopping(submitted)
    try:
        stop_and_wait(
            client, _jobs(submitted), grace=None, signal=signal.SIGINT, waiting=audience.ending
        )
        return _verdict(client, submitted, audience) and exit_codes.INTERRUPTED
    except KeyboardInterrupt:
        audience.left(submitted)
        return exit_codes.INTERRUPTED


def _stream(client: Client, job: int, audience: Audience) -> Waited | None:
    """Hand on the output of all attempts as it grows. Gives how it ended, where that is known.

    The job's exit code counts also when nobody wants more of it, or when it is removed meanwhile.
    """
    waited = None
    try:
        for piece in outputs.all_output(client, job):
            if piece.ended:
                # Before it is handed on: whoever reads it may be slow, and the daemon about to go.
                waited = follow.ended(client, job, piece.attempt)
            if piece.anew:
                audience.output_anew(piece)
            if (piece.data and not audience.output(piece.data)) or waited is not None:
                break
    except NotFound:
        pass  # the verdict says so
    audience.output_over()
    return waited


def _verdict(
    client: Client, submitted: Submitted, audience: Audience, waited: Waited | None = None
) -> int:
    waited = waited or follow.until_finished(client, _jobs(submitted))
    audience.ended(waited, submitted)
    if not waited.total:
        # Somebody removed it; how it ended nobody knows any more.
        return 1
    return exit_codes.exit_code_of_all(waited)


def _jobs(submitted: Submitted) -> Selector:
    return Selector(ids=[(submitted.first, submitted.last)])
