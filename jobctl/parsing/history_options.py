"""Which finished attempts are meant: the filters of `history` and `report`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Final

import click

from jobctl.parsing.param_types import Word, once, parse_states
from jobctl.parsing.selector_options import FILTERS, refuse_no_span
from jobctl.parsing.times import parse_since
from jobd.contract.models import History
from jobd.contract.states import FINISHED, State

_TIME: Final = Word("time", parse_since)


def _parse_ends(text: str) -> list[State]:
    states = parse_states(text)
    for state in states:
        if state not in FINISHED:
            raise ValueError(
                f"no finished attempt is {state}; they are completed, failed or stopped"
            )
    return states


def history_filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `request_of` reads."""
    shared = {found.field: found.option() for found in FILTERS}
    for add in reversed(
        [
            click.option("--since", type=_TIME, multiple=True, callback=once, metavar="WHEN",
                         help="Only ended in the last DURATION (2h), or since a TIME (18:00)."),
            click.option("--until", type=_TIME, multiple=True, callback=once, metavar="WHEN",
                         help="Only ended longer ago than a DURATION, or before a TIME."),
            shared["users"],
            shared["groups"],
            shared["name"],
            click.option("--state", "states", type=Word("states", _parse_ends), multiple=True,
                         metavar="STATE,...", help="Only completed, failed or stopped attempts."),
        ]
    ):  # fmt: skip
        function = add(function)
    return function


def request_of(given: dict[str, Any]) -> History:
    """What was asked for. Raises: click.UsageError (nothing can be meant by it)."""
    since, until = given["since"], given["until"]
    refuse_no_span(since, until)
    return History(
        states=list(chain(*given["states"])),
        groups=list(chain(*given["only_groups"])),
        users=list(chain(*given["only_users"])),
        name=given["only_name"] or "",
        since=since,
        until=until,
    )
