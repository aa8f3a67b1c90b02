"""Messages about jobs, for people: how far each has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobctl.render import streams, text
from jobd.contract.models import Delivery
from jobd.contract.states import DeliveryState
from jobd.contract.wording import printable

_ERROR: Final = 60
"""Characters of a reason in a list; `--json` has all of it."""


def table(found: Sequence[Delivery]) -> None:
    """A message a line."""
    from tabulate import tabulate

    if not found:
        streams.line("no messages; who is told of what: [[notify]] in config.toml, submit --notify")
        return
    headers = ["ID", "AT", "STATE", "TRIES", "RULE", "TO", "MESSAGE", "ERROR"]
    rows = [
        [
            str(one.id),
            text.clock(one.made_at),
            one.state.value,
            str(one.tries),
            printable(one.rule),
            printable(one.to) or "-",
            printable(one.title),
            _reason(one) or "-",
        ]
        for one in found
    ]
    align = ["right", "left", "left", "right", "left", "left", "left", "left"]
    lines = tabulate([headers, *rows], tablefmt="plain", colalign=align, disable_numparse=True)
    for line in lines.splitlines():
        streams.line(line.rstrip())


def _reason(one: Delivery) -> str:
    said = printable(one.error or "")
    return said if len(said) <= _ERROR else f"{said[: _ERROR - 2]} …"


def outcomes(found: Sequence[Delivery]) -> None:
    """Of a test: what has arrived on stdout, what has not on stderr."""
    for one in reversed(found):
        where = printable(f"{one.rule}: {one.to}")
        if one.state is DeliveryState.DELIVERED:
            streams.line(f"{where}: delivered")
        else:
            streams.error(f"{where}: not delivered: {printable(one.error or 'nobody knows why')}")
