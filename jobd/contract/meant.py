"""Words: what somebody probably meant who typed one that does not exist; one or several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

NAMED: Final = 10
"""Jobs that a message names one by one."""


def closest(word: str, words: Iterable[str]) -> str | None:
    """The one of the words that begins like it, or else looks like it; None: none does."""
    import difflib

    known = list(words)
    begun = [name for name in known if word.strip("-") and name.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    found = difflib.get_close_matches(word, begun or known, n=1)
    return found[0] if found else None


def no_option(word: str, options: Iterable[str]) -> str:
    """The whole message: `no option --prio; did you mean: --priority`."""
    meant = closest(word, [name for name in options if name.startswith("--")])
    return f"no option {word}{f'; did you mean: {meant}' if meant else ''}"


def counted(count: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def listed(jobs: Sequence[int]) -> str:
    """`3, 4, 7`; of more than are named the first, and that there are others."""
    return ", ".join(map(str, jobs[:NAMED])) + (", …" if len(jobs) > NAMED else "")
