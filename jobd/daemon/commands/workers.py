"""`workers`: how many jobs may run beside each other, all of them together."""

from __future__ import annotations

import msgspec

from jobd.contract.call import Call
from jobd.contract.models import Workers, WorkersReply
from jobd.contract.states import EventName
from jobd.core.ledger import Ledger
from jobd.store.event_log import EventLog
from jobd.store.settings import Settings
from jobd.system.clock import now_us


class SetWorkers:
    """In a transaction of the writer."""

    def __init__(self, ledger: Ledger, settings: Settings, event_log: EventLog) -> None:
        self._ledger = ledger
        self._settings = settings
        self._event_log = event_log

    def workers(self, request: Workers, call: Call) -> WorkersReply:
        """Without a number it only says how many there are."""
        ledger, wanted = self._ledger, request.workers
        if wanted is not None and wanted != ledger.workers:
            ledger.set_workers(wanted)
            self._settings.set("workers", str(wanted))
            data = msgspec.json.encode({"workers": wanted})
            self._event_log.add(None, EventName.WORKERS, call.user, now_us(), data)
        return WorkersReply(workers=ledger.workers, busy=ledger.busy)
