"""Groups for people."""

from __future__ import annotations

from collections.abc import Sequence

from jobctl.render import streams
from jobd.contract.models import GroupShare
from jobd.contract.wording import printable


def table(groups: Sequence[GroupShare]) -> None:
    """A group a line."""
    from tabulate import tabulate

    headers = ["GROUP", "WORKERS", "BUSY", "PENDING", "PAUSED"]
    rows = [
        [
            printable(share.name),
            _limit(share),
            f"{share.busy:,}",
            f"{share.pending:,}",
            _paused(share),
        ]
        for share in groups
    ]
    align = ["left", "right", "right", "right", "left"]
    text = tabulate([headers, *rows], tablefmt="plain", colalign=align, disable_numparse=True)
    for row in text.splitlines():
        streams.line(row.rstrip())


def _limit(share: GroupShare) -> str:
    return "all" if share.workers is None else f"{share.workers:,}"


def _paused(share: GroupShare) -> str:
    return "yes" if share.paused else "-"


def one(groups: Sequence[GroupShare], name: str) -> None:
    """`gpu: 2 workers, 1 busy, 14 pending`, or that it is gone."""
    share = next((share for share in groups if share.name == name), None)
    if share is None:
        streams.line(f"{name}: removed")
        return
    plural = "" if share.workers == 1 else "s"
    paused = ", paused" if share.paused else ""
    streams.line(
        f"{share.name}: {_limit(share)} worker{plural}, {share.busy:,} busy, "
        f"{share.pending:,} pending{paused}"
    )
