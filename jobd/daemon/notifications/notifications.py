"""Telling somebody what has happened: one thread that reads the history and sends what is due.

    events were written, a message is due, a courier is back
    → [the events behind the cursor → messages] → messages and cursor (one commit)
    → what is due is taken (one commit) → couriers deliver it → delivered, or tried again (one each)
    → a pause, so that one round serves many → sleep until it is woken again

Nothing of it happens where jobs move. Where there is no rule, and no job whose submitter wants to
be told, nothing wakes it.
"""

from __future__ import annotations

import logging
from typing import Final

from jobd.contract.errors import JobdError
from jobd.daemon.jobs.notifier import Notifier, Subscriber
from jobd.daemon.notifications.history import History
from jobd.daemon.notifications.outbox import Outbox
from jobd.system.clock import now_us
from jobd.system.rounds import Bell, Rounds

log = logging.getLogger(__name__)
_PAUSE_S: Final = 0.25
"""Between two rounds."""
_RETRY_S: Final = 10.0
"""Until what could not be read or saved is tried again."""
_CLOSE_S: Final = 10.0
"""How long the end of the daemon waits for a round that is under way."""


class Notifications(Subscriber):
    """A thread of its own; woken by the notifier, by couriers, and when a message is due."""

    def __init__(self, history: History, outbox: Outbox, bell: Bell) -> None:
        """`bell`: rung by whoever has something for it to do."""
        self._history = history
        self._outbox = outbox
        self._bell = bell
        self._rounds = Rounds("notifications", self._make, bell, last=self._end)

    def start(self, notifier: Notifier) -> None:
        """Jobs are at work, and there may be something to tell by now."""
        notifier.subscribe(self)
        if self._history.resume() or self._outbox.has_any():
            self._bell.ring()
        self._rounds.start()

    def close(self) -> None:
        """While the writer still writes: what has happened by now is read, and sent if that takes
        no time.
        """
        self._rounds.close(_CLOSE_S)

    # --- what wakes it ------------------------------------------------------------------------

    def published(self, last_event: int) -> None:  # noqa: ARG002 - whichever it is
        if self._history.concerns:
            self._bell.ring()

    def wished(self) -> None:
        self._history.concerns = True
        self._bell.ring()

    # --- rounds -------------------------------------------------------------------------------

    def _make(self) -> None:
        next_in = self._tried()
        if next_in is not None:
            self._bell.ring_in(next_in)
        self._rounds.rest(_PAUSE_S)

    def _end(self) -> None:
        """The last job may have ended just now."""
        self._tried()
        self._outbox.close()

    def _tried(self) -> float | None:
        try:
            return self._round()
        except JobdError as error:
            log.warning("nobody is told of anything for now: %s", error)
        except Exception:
            log.exception("the notifications broke down, and are tried again")
        return _RETRY_S

    def _round(self) -> float | None:
        """Raises: StoreFailed; it is tried again, from where the store says."""
        if self._history.read():
            self._bell.ring()
        self._outbox.send_due()
        due = self._outbox.next_due()
        waits = [self._history.left, None if due is None else (due - now_us()) / 1e6]
        return min((wait for wait in waits if wait is not None), default=None)
