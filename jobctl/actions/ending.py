"""Waiting for jobs that were told to end: not for those that cannot be ended."""

from __future__ import annotations

from typing import Final

import msgspec

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.models import List, Note, Selector, Waited
from jobd.contract.states import State, how_to_end

_KILLED_WITHIN_S: Final = 0.4
"""Seconds for a killed process to be gone; and until the next look at one that is not."""


def until_ended(client: Client, chosen: Selector, grace: float | None) -> tuple[Waited, list[Note]]:
    """Until they have ended; and which of them cannot be ended, once their time is over.

    `grace`: seconds that they have for it; None: the daemon is older, and does not say.
    """
    timeout = None if grace is None else grace + _KILLED_WITHIN_S
    while not (waited := follow.until_finished(client, chosen, timeout=timeout)).done:
        stuck = _stuck(client, chosen)
        if len(stuck) >= waited.total - waited.ended:
            return waited, stuck
        timeout = _KILLED_WITHIN_S
    return waited, []


def _stuck(client: Client, chosen: Selector) -> list[Note]:
    request = List(selector=msgspec.structs.replace(chosen, states=[State.RUNNING]))
    return [
        Note(id=job.id, text=f"still runs and {job.reason}; end that with: {how}")
        for page in follow.pages(client, request)
        for job in page.jobs
        if (how := how_to_end(job.reason)) is not None
    ]
