"""Jobs that wait for others: those others are not removed before them."""

from __future__ import annotations

from jobd.contract.wording import NAMED, listed
from jobd.daemon.commands.bulk import BulkResult, Chosen
from jobd.store.dependencies import Dependencies


class Dependants:
    """An object for each removal; asked by the writer's thread, in a transaction."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._staying: dict[int, list[int]] = {}
        """Of those that were looked at: who waits for it and is to stay."""

    def keep(self, job: int, result: BulkResult) -> bool:
        """Whether others wait for it that stay: they are not to be removed, or cannot be.

        Then the result is told.
        """
        others = self._stay(job, result.chosen)
        if others:
            verb, them = ("waits", "that") if len(others) == 1 else ("wait", "those")
            why = f"{listed(others)} {verb} for it; remove {them} with it"
            if all(other in result.chosen for other in others):
                why = f"{listed(others)} {verb} for it, and cannot be removed either"
            result.error(job, f"cannot be removed: {why}")
        return bool(others)

    def _stay(self, job: int, chosen: Chosen) -> list[int]:
        """Who waits for it and stays; looked up once for each, those that wait first."""
        if not self._dependencies.waiting(job, 1):
            return []  # nearly always, and a million of them leave nothing in memory
        known, begun, open_ends = self._staying, set[int](), [job]
        while open_ends:
            one = open_ends[-1]
            waiting = self._dependencies.waiting(one, NAMED + 1 + len(chosen))
            unknown = [other for other in waiting if other in chosen and other not in known]
            if unknown and one not in begun:
                begun.add(one)
                open_ends += unknown
            else:
                known[one] = [o for o in waiting if o not in chosen or known.get(o)]
                open_ends.pop()
        return known[job]
