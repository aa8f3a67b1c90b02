"""The groups as they are just now: their part of the workers, and their jobs."""

from __future__ import annotations

from jobd.contract.models import GroupShare, GroupsReply
from jobd.core.ledger import Ledger
from jobd.store.reader import Reader


def shares(ledger: Ledger, reader: Reader) -> GroupsReply:
    """Any thread may ask."""
    delayed = reader.delayed()
    return GroupsReply(
        groups=[
            GroupShare(
                name=name,
                workers=share.workers,
                paused=share.paused,
                busy=ledger.busy_in(name),
                pending=ledger.queue.waiting_in(name) + delayed.get(name, 0),
            )
            for name, share in sorted(ledger.groups.copy().items())
        ]
    )
