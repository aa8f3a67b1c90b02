"""Since when somebody waits: at a cost that does not grow with the queue."""

from __future__ import annotations

from typing import Final

from jobd.contract.states import Reason, State
from jobd.store.conditions import BY_STATE, VISIBLE
from jobd.store.reader import Reader

_LOOK: Final = 200
"""Jobs with the lowest ids that are looked at."""
_PENDING: Final = f"SELECT j.queued_at, j.reason FROM jobs AS j WHERE j.state = '{State.PENDING}'"
_OLDEST: Final = (
    f"SELECT MIN(queued_at) FROM (SELECT * FROM ({_PENDING} AND {VISIBLE}"
    f" ORDER BY j.turn, j.id LIMIT 1) UNION ALL SELECT * FROM ({_PENDING} AND {BY_STATE}"
    f" AND {VISIBLE} ORDER BY j.id LIMIT {_LOOK})) WHERE reason = '{Reason.QUEUED}'"
)


def oldest_ready(reader: Reader) -> int | None:
    """Since when (microseconds since the epoch) the job pends that has waited longest of those that
    wait for nothing but their turn; None: none does.

    Those with the lowest ids are looked at, and the one that starts next. Any thread may ask.
    Raises: StoreFailed.
    """
    ((since,),) = reader.rows(_OLDEST)
    return None if since is None else int(str(since))
