"""Pieces of SQL that several statements share, and the rules of `core` as SQL has them.

All of them are about jobs `j`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from jobd.contract.states import Reason, State
from jobd.core.transitions import is_failing, is_met
from jobd.store.records import Filter

VISIBLE: Final = "NOT EXISTS (SELECT 1 FROM staged WHERE j.id BETWEEN first AND last)"
IN_RANGE: Final = "j.id BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]')"
"""Of a range `r` out of json_each; as one JSON value, since parameters are limited in number."""
LISTED: Final = "(SELECT value FROM json_each(?))"
"""The values of a list, as one JSON value for the same reason."""

BY_STATE: Final = "j.id > 0"
"""Always so; what lets a statement use the index of all jobs by state and id."""


def names(states: Iterable[State]) -> str:
    """States as SQL has them, for `IN (…)`."""
    return ", ".join(f"'{state.value}'" for state in states)


_SPEC: Final = (
    "IIF(length(j.spec), j.spec, (SELECT r.spec FROM arrays AS r WHERE r.first = j.array))"
)
_COMMAND: Final = f"command_of({_SPEC}) GLOB ?"
"""Every connection has this function: `command_lines.command_of`."""
_SET: Final = re.compile(r"\[[!^]?.[^\]]*\]", re.DOTALL)
_PLAIN: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
"""Characters that stand in a stored command as they do where it is typed, quoted or not."""


class _Rule(Protocol):
    def __call__(self, parent: State, *, any_end: bool) -> bool: ...


def _where(rule: _Rule) -> str:
    """Of a row of `dependencies`, whose `finished` says that any end is enough, and parent `j`."""
    kinds = [
        f"finished = {any_end:d} AND j.state IN ({names(states)})"
        for any_end in (False, True)
        if (states := [state for state in State if rule(state, any_end=any_end)])
    ]
    return f"({' OR '.join(kinds)})"


MET: Final = _where(is_met)
"""The parent is what its dependant waits for: as `core.transitions.is_met` says."""
FAILING: Final = _where(is_failing)
"""The parent can no longer be what its dependant waits for: as `core.transitions.is_failing`."""

WAITS_FOR: Final = (
    f"CASE WHEN held THEN '{Reason.HELD}' WHEN unmet > 0 THEN '{Reason.DEPENDENCY}'"
    f" WHEN due IS NOT NULL THEN IIF(failures > 0, '{Reason.RETRY_BACKOFF}', '{Reason.DELAYED}')"
    f" ELSE '{Reason.QUEUED}' END"
)
"""Why a pending job waits: as `core.transitions.waiting_reason` has it."""


def condition(chosen: Filter, *, with_states: bool = True) -> tuple[str, list[object]]:
    """On jobs `j`, with its values; the ranges are left out."""
    where, values = "1", list[object]()
    states = chosen.states if with_states else ()
    lists = (("j.state", states), ("j.group_name", chosen.groups), ("j.user", chosen.users))
    for column, wanted in lists:
        if wanted:
            # The plus keeps an index from being chosen for it: others lead to fewer jobs.
            where += f" AND +{column} IN {LISTED}"
            values.append(as_json(wanted))
    if chosen.tags:
        where += f" AND EXISTS (SELECT 1 FROM json_each(j.tags) AS t WHERE t.value IN {LISTED})"
        values.append(as_json(chosen.tags))
    if chosen.name:
        where, values = f"{where} AND j.name GLOB ?", [*values, as_glob(chosen.name)]
    if chosen.command:
        # Most are left out by SQLite alone, which is several times as fast as to ask for each.
        where += f" AND IIF(instr({_SPEC}, CAST(? AS BLOB)) = 0, 0, {_COMMAND})"
        values += [plain_part(chosen.command), as_glob(chosen.command)]
    for bound, limit in (
        ("j.submitted_at >= ?", chosen.since),
        ("j.submitted_at <= ?", chosen.until),
        ("j.finished_at >= ?", chosen.ended_since),
        ("j.finished_at < ?", chosen.ended_before),
    ):
        if limit is not None:
            where, values = f"{where} AND {bound}", [*values, limit]
    if chosen.held:
        where = f"{where} AND j.held = 1"
    return where, values


def as_glob(pattern: str) -> str:
    """A pattern of the shell (glob(7)) as GLOB of SQLite has it.

    There `[^…]` is what in a shell is `[!…]`, and a bracket that is never closed fits nothing; in a
    shell it is a character.
    """
    made, at = [], 0
    while at < len(pattern):
        if pattern[at] != "[":
            made.append(pattern[at])
            at += 1
            continue
        begin = at + 1 + (pattern[at + 1 : at + 2] in ("!", "^"))
        end = pattern.find("]", begin + 1)  # right behind the bracket it is one of those meant
        if end < 0:
            made.append("[[]")
            at += 1
        else:
            made.append(("[^" if begin > at + 1 else "[") + pattern[begin : end + 1])
            at = end + 1
    return "".join(made)


def plain_part(pattern: str) -> str:
    """The longest part of a pattern that stands in the record of each job whose command fits."""
    parts = _PLAIN.findall(_SET.sub("*", pattern))
    return max(parts, key=len, default="")


def as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
