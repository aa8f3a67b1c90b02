"""Which engine the jobs of a group run on, and which engines cannot be reached just now."""

from __future__ import annotations

from collections.abc import Mapping


class Placement:
    """Any thread may ask; whoever watches over the engines says who is away."""

    def __init__(self, default: str, of_groups: Mapping[str, str] | None = None) -> None:
        """`default`: the engine of groups that name none."""
        self.default = default
        self._of_groups = dict(of_groups or {})
        self._away: dict[str, str] = {}

    def engine_of(self, group: str) -> str:
        return self._of_groups.get(group, self.default)

    def away(self, group: str) -> str | None:
        """Why the engine of a group cannot be reached; None: nothing is known to be wrong."""
        return self._away.get(self.engine_of(group)) if self._away else None

    def note(self, engine: str, away: str | None) -> None:
        """`away`: why it cannot be reached; None: it can."""
        if away is None:
            self._away.pop(engine, None)
        else:
            self._away[engine] = away
