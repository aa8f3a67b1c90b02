"""`forget`: what a power cut took of outputs is told no more."""

from __future__ import annotations

import logging

from jobd.contract.call import Call
from jobd.contract.models import Forget, Forgotten
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.commands.lost_output import LostOutput

log = logging.getLogger(__name__)


class ForgetLost:
    """Called by clients' threads; what it answers is on disk."""

    def __init__(self, lost: LostOutput, idempotency: Idempotency) -> None:
        self._lost = lost
        self._idempotency = idempotency

    def forget(self, request: Forget, call: Call) -> Forgotten:
        """Raises: JobdError (it cannot be saved)."""
        del request
        left = self._lost.left()
        forgotten = self._idempotency.once(
            call.id, Forgotten, lambda: Forgotten(lost=self._lost.forget(left))
        )
        if forgotten.lost is not None:
            log.info("forgotten by %s: %s", call.user, forgotten.lost)
        return forgotten
