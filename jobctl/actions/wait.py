"""`submit --wait`: the job's output on stdout, its exit code as ours."""

from __future__ import annotations

import signal

from jobctl.actions import exit_codes
from jobctl.actions.bulk import stop_and_wait
from jobctl.render import notices, streams
from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import NotFound
from jobd.contract.models import Selector, Submitted


def wait_for(client: Client, submitted: Submitted, *, stop: bool = False) -> int:
    """Stay until what was submitted has finished. Gives the exit code.

    Ctrl-C ends only us, or with `stop` the jobs as well; a second one then leaves them to it.
    """
    try:
        notices.waiting_for(submitted)
        if submitted.first == submitted.last:
            _stream(client, submitted.first)
        return _verdict(client, submitted)
    except KeyboardInterrupt:
        if not stop:
            notices.goes_on(submitted)
            return exit_codes.INTERRUPTED
    return _stop(client, submitted)


def _stop(client: Client, submitted: Submitted) -> int:
    notices.stopping(submitted)
    chosen = Selector(ids=[(submitted.first, submitted.last)])
    try:
        stop_and_wait(client, chosen, grace=None, signal=signal.SIGINT)
        return _verdict(client, submitted) and exit_codes.INTERRUPTED
    except KeyboardInterrupt:
        notices.goes_on(submitted)
        return exit_codes.INTERRUPTED


def _stream(client: Client, job: int) -> None:
    """Copy the output of all attempts as it grows.

    The job's exit code counts also when nobody reads on, or when it is removed meanwhile.
    """
    last = b"\n"
    try:
        for piece in follow.all_output(client, job):
            if piece.data:
                streams.raw(piece.data)
                last = piece.data[-1:]
    except BrokenPipeError:
        streams.abandon_stdout()
    except NotFound:
        pass  # the verdict says so
    if last != b"\n":
        streams.end_line()


def _verdict(client: Client, submitted: Submitted) -> int:
    chosen = Selector(ids=[(submitted.first, submitted.last)])
    waited = follow.until_finished(client, chosen)
    if waited.total == 1 and waited.jobs:
        notices.ended(waited.jobs[0])
    else:
        notices.verdict(waited)
    if not waited.total:
        # Somebody removed it; how it ended nobody knows any more.
        return notices.missing([submitted.first])
    return exit_codes.exit_code_of_all(waited, any_of=False)
