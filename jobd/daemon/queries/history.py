"""`history`: finished attempts, also of removed jobs, for whoever counts them."""

from __future__ import annotations

from jobd.contract.call import Call
from jobd.contract.models import History, HistoryPage
from jobd.store.past import AttemptFilter
from jobd.store.reader import Reader


class HistoryQuery:
    """Clients' threads call. It is the client that counts: days are those of its own time zone."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def history(self, request: History, _: Call) -> HistoryPage:
        chosen = AttemptFilter(
            states=tuple(request.states),
            groups=tuple(request.groups),
            users=tuple(request.users),
            name=request.name,
            since=_micros(request.since),
            until=_micros(request.until),
        )
        attempts, behind = self._reader.past(chosen, request.after)
        return HistoryPage(attempts=attempts, next=behind)


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
