"""What is still to be said of a list once it has been printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobd.contract.models import Page


class Listed:
    """Pages on their way to whatever prints them, one after the other and once."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._pages = pages
        self.missing: list[int] = []
        """Ids that were named, and do not exist, on the pages up to now."""
        self.empty = False
        """Whether all pages have passed with no job on them, and no id that one should have."""

    def __iter__(self) -> Iterator[Page]:
        empty = True
        for page in self._pages:
            self.missing += page.missing
            empty = empty and not (page.jobs or page.ids or page.missing)
            yield page
        self.empty = empty
