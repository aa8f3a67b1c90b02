"""What a shell may propose for a word of a command line: what stands in the options themselves,
and, from whoever can ask for it (`Live`), what there is just now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, cast, runtime_checkable

import click
from click.shell_completion import CompletionItem

from jobd.contract.models import PRIORITIES, Job
from jobd.contract.states import State


@runtime_checkable
class Live(Protocol):
    """Whoever knows what there is; it is the context's object while a shell asks."""

    def proposed(self, kind: str, command: str) -> Iterable[tuple[str, str]]:
        """Words of a kind (`selectors`, `ids`, `groups`, `tags`, `users`, `names`), and what each
        is; those that are of use to a command.
        """


_FILES: Final = {"file": "file", "program": "file", "dir": "dir"}
"""Words that the shell itself knows best."""
_SIGNALS: Final = ("TERM", "INT", "KILL", "HUP", "QUIT", "USR1", "USR2", "STOP", "CONT")
_FIXED: Final[dict[str, Iterable[str]]] = {
    "states": [state.value for state in State],
    "columns": Job.__struct_fields__,
    "key": Job.__struct_fields__,
    "format": ("table", "json", "ndjson", "csv"),
    "priority": (*PRIORITIES,),
    "signal": _SIGNALS,
    "expression": ("auto", "none"),
}
"""By the name of a parameter's type."""
_LIVE: Final = {
    "selector": "selectors",
    "id": "ids",
    "groups": "groups",
    "group": "groups",
    "tags": "tags",
    "tag": "tags",
    "users": "users",
    "pattern": "names",
}
_LISTS: Final = frozenset({"states", "columns", "groups", "tags", "users", "selector"})
"""Types of which several may stand in one word, with commas between them."""


def of(kind: str, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """For a parameter whose type has this name."""
    if kind == "command":
        return [CompletionItem("", type="file" if ctx.params.get("words") else "command")]
    if kind in _FILES:
        return [CompletionItem("", type=_FILES[kind])]
    begun, last = "", incomplete
    if kind in _LISTS:
        begun, comma, last = incomplete.rpartition(",")
        begun += comma
    found = [(word, "") for word in _FIXED.get(kind, ())]
    live = ctx.find_root().obj
    if kind in _LIVE and isinstance(live, Live):
        found = [*live.proposed(_LIVE[kind], cast("str", ctx.info_name))]
    return [
        CompletionItem(begun + word, help=about) for word, about in found if word.startswith(last)
    ]
