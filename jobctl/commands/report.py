"""`jobctl report`: a page about what was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from jobctl.context import pass_client
from jobctl.examples import example
from jobctl.parsing.history_options import history_filters, request_of
from jobctl.parsing.param_types import PATH
from jobctl.render import streams
from jobd.contract.models import History, Job, List, Selector
from jobd.contract.states import State

if TYPE_CHECKING:
    from jobctl.actions.report import Unfinished
    from jobd.client.client import Client

_MOST_WAITING: Final = 100_000
"""Jobs that wait, of which the time is asked."""


@click.command(
    "report",
    epilog=example(
        "jobctl report week.html --since 7d",
        "jobctl report night.html --since 18:00 --group gpu",
        "jobctl report - --name 'train*' > train.html",
    ),
)
@click.argument("file", type=PATH)
@history_filters
@pass_client
def command(client: Client, /, file: str, **given: Any) -> int:  # noqa: ANN401 # as click has it
    """Write a report about finished jobs to FILE (- is stdout).

    One HTML file that needs no network and no other file: what each worker did, the queue, how
    attempts ended, the slowest, those that failed most often, CPU and memory. The numbers are those
    of jobctl history. Times are of your time zone. The libraries that it needs
    come with the extra report.
    """
    request = request_of(given)
    from jobctl.render import report

    report.check_libraries()
    from jobctl.actions.history import Window
    from jobctl.actions.report import Record, review
    from jobd.client import past

    record = Record()
    for attempts in past.attempts(client, request):
        record.add(attempts)
    window = Window.of(request, time.time())
    made = review(record, _unfinished(client, request), client.workers().workers, window)
    content = report.page(made, request)
    if file == "-":
        streams.raw(content.encode())
    else:
        report.write(file, content)
        streams.notice(f"wrote {file}: {made.total.attempts:,} attempts")
    return 0


def _unfinished(client: Client, request: History) -> Unfinished | None:
    """What of it runs, and what waits, now; None where the past alone is asked for."""
    if request.until is not None or request.states:
        return None
    from jobctl.actions.report import Unfinished
    from jobd.client import follow

    found: dict[State, list[Job]] = {State.RUNNING: [], State.PENDING: []}
    selector = Selector(
        states=[*found], groups=request.groups, users=request.users, name=request.name, all=True
    )
    for page in follow.pages(client, List(selector=selector, pending=_MOST_WAITING, finished=0)):
        for job in page.jobs:
            found.get(job.state, []).append(job)
    return Unfinished(running=found[State.RUNNING], waiting=found[State.PENDING])
