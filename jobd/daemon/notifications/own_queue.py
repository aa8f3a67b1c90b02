"""The daemon asks itself what a client would ask to see what is stuck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jobd.contract import diagnosis
from jobd.contract.call import Call, Caller, Role
from jobd.contract.models import DaemonStatus, GroupsReply, List, Page
from jobd.contract.overviews import Stuck
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.shares import shares
from jobd.daemon.queries.list import ListQuery
from jobd.store.reader import Reader

_MINE: Final = Call(Caller("", Role.VIEWER))


class OwnQueue:
    """Any thread may ask."""

    def __init__(
        self,
        query: ListQuery,
        ledger: Ledger,
        reader: Reader,
        trouble: Callable[[], str | None],
    ) -> None:
        """`trouble`: what keeps the daemon from starting jobs, in words."""
        self._query = query
        self._ledger = ledger
        self._reader = reader
        self._trouble = trouble

    def groups(self) -> GroupsReply:
        return shares(self._ledger, self._reader)

    def stuck(self) -> list[Stuck]:
        """As `jobctl status` has it. A daemon that is told to stop is not stuck."""
        ledger = self._ledger
        if ledger.draining:
            return []
        status = DaemonStatus(
            error=self._trouble(), workers=ledger.workers, busy=ledger.busy,
            jobs=dict(ledger.counts),
        )  # fmt: skip
        return diagnosis.look(self, status).stuck

    def is_at_work(self) -> bool:
        """Whether something may come to be stuck although nothing happens."""
        return bool(self._ledger.busy) or self._trouble() is not None

    # Last: from here on `list` is this method.
    def list(self, request: List) -> Page:
        return self._query.list(request, _MINE)
