"""All that a transaction may change: memory, disk, and what follows from a change."""

from __future__ import annotations

from msgspec import Struct

from jobd.core.ledger import Ledger
from jobd.core.undo import Undo
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.propagation import Propagation
from jobd.daemon.jobs.readiness import Readiness
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.store.dependencies import Dependencies
from jobd.store.store import Store


class Books(Struct, frozen=True):
    """Kept by the writer's thread alone."""

    undo: Undo
    ledger: Ledger
    store: Store
    dependencies: Dependencies
    waiting: Readiness
    unsettled: Unsettled
    moves: Moves
    propagation: Propagation
