"""The history of finished attempts, page by page to its end."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from jobd.client.client import Client
from jobd.client.stalls import Attempts
from jobd.contract.models import Ended, History


def attempts(client: Client, request: History) -> Iterator[list[Ended]]:
    """All that are meant, by job and attempt, a page at a time; each once, whatever is removed
    meanwhile.
    """
    way = Attempts()
    while True:
        page = client.history(request)
        way.check(page)
        yield page.attempts
        if page.next is None:
            return
        request = replace(request, after=page.next)
