"""What is typed to see less: `train`, `group:gpu`, `tag:sweep`, `user:anna`, `3-9`, together."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

from jobctl.tui.sight import Filter
from jobd.contract.models import MAX_ID, Selector

_FIELDS: Final = {
    "group": "groups", "g": "groups", "tag": "tags", "t": "tags", "user": "users", "u": "users"
}  # fmt: skip
_IDS: Final = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?(,[0-9]{1,19}(-[0-9]{1,19})?)*")
_PATTERN: Final = re.compile(r"[*?\[]")


def parse(text: str) -> Filter:
    """Never wrong: it is read while it is typed, and what is half of a word means nothing yet.

    A plain word stands anywhere in the name of a job; one with `*`, `?` or `[` is all of it.
    """
    words: list[str] = []
    ids: list[tuple[int, int]] = []
    named: dict[str, list[str]] = defaultdict(list)
    for word in text.split():
        field, colon, value = word.partition(":")
        if colon and field in _FIELDS:
            named[_FIELDS[field]] += [value] if value else []
        elif _IDS.fullmatch(word):
            ids += [_range(piece) for piece in word.split(",")]
        else:
            words.append(word)
    name = " ".join(words)
    is_pattern = bool(_PATTERN.search(name))
    selector = Selector(
        ids=[run for run in ids if 1 <= run[0] <= run[1] <= MAX_ID],
        name=name if is_pattern or not name else f"*{name}*",
        groups=named["groups"],
        tags=named["tags"],
        users=named["users"],
    )
    return Filter(selector, "" if is_pattern else name.lower())


def _range(piece: str) -> tuple[int, int]:
    first, _, last = piece.partition("-")
    return int(first), int(last or first)
