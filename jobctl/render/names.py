"""Names that have no room, cut so that they stay apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from jobctl.render.text import begin, columns, cut_middle, end

_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+|.", re.DOTALL)
"""A number, a word, or a sign between them."""
_FAMILY: Final = 4
"""Names of one family begin and end alike, with a fourth of the columns that there are."""


def cut_apart(texts: Sequence[str], width: int) -> list[str]:
    """Each cut in its middle; of those that would look the same, and of those like them, what they
    have in common is left out instead.
    """
    found = dict(zip(texts, (cut_middle(text, width) for text in texts), strict=True))
    alike: dict[str, list[str]] = {}
    for text, short in found.items():
        alike.setdefault(short, []).append(text)
    for short, same in alike.items():
        if len(same) > 1 and found[same[0]] == short:
            found |= _apart(_family(same, found, width), width) or {
                text: _cut_common(text, same, width) for text in same
            }
    return [found[text] for text in texts]


def _family(same: Sequence[str], others: Iterable[str], width: int) -> list[str]:
    """With those that begin and end like them, and have as many parts.

    Where there is hardly any room, they look the same although they begin or end differently.
    """
    some = max(1, width // _FAMILY)
    edges, parts = (same[0][:some], same[0][-some:]), len(_TOKEN.findall(same[0]))
    like = [text for text in others if (text[:some], text[-some:]) == edges]
    further = [t for t in like if t not in same and len(_TOKEN.findall(t)) == parts]
    return [*same, *further]


# --- by parts -----------------------------------------------------------------------------


def _apart(family: Sequence[str], width: int) -> dict[str, str]:
    """The parts in which they differ, with as much of the others as there is room for: `…lr0.1…`.

    Empty where they do not consist of as many parts, or not even those have room.
    """
    rows = [_TOKEN.findall(text) for text in family]
    if len({len(row) for row in rows}) > 1:
        return {}
    differing = [at for at, parts in enumerate(zip(*rows, strict=True)) if len(set(parts)) > 1]
    kept = frozenset(differing)
    if not _have_room(rows, kept, width):
        return {}
    for more in _helpful(rows[0], differing):
        if _have_room(rows, kept | more, width):
            kept |= more
    return {text: _filled(row, kept, width) for text, row in zip(family, rows, strict=True)}


def _helpful(row: Sequence[str], differing: Sequence[int]) -> Iterator[frozenset[int]]:
    """Parts to be kept, the most helpful ones first: what a number belongs to, then the begin."""
    for at in differing:
        word = next((n for n in range(at - 1, -1, -1) if row[n].isalpha()), None)
        if word is not None:
            yield frozenset(range(word, at))
    for at in range(len(row)):
        yield frozenset(range(at + 1))


def _have_room(rows: Sequence[Sequence[str]], kept: frozenset[int], width: int) -> bool:
    return all(columns("".join(_composed(row, kept))) <= width for row in rows)


def _composed(row: Sequence[str], kept: frozenset[int]) -> list[str]:
    """Kept parts, and an ellipsis for each stretch of others that is longer than that."""
    found = []
    for is_kept, numbers in groupby(range(len(row)), key=kept.__contains__):
        stretch = "".join([row[number] for number in numbers])
        found.append(stretch if is_kept or columns(stretch) == 1 else "…")
    return found


def _filled(row: Sequence[str], kept: frozenset[int], width: int) -> str:
    """With the begin of the first stretch that is left out, and the end of the last one, where
    there is room for them.
    """
    parts = _composed(row, kept)
    room = width - columns("".join(parts))
    behind = parts[-1] == "…" and len(parts) > 1
    if parts[0] == "…":
        first = next(at for at in range(len(row)) if at in kept)
        before = begin("".join(row[:first]), room // 2 if behind else room)
        parts[0] = before + parts[0]
        room -= columns(before)
    if behind:
        last = max(kept)
        parts[-1] += end("".join(row[last + 1 :]), room)
    return "".join(parts)


# --- by characters ------------------------------------------------------------------------


def _cut_common(text: str, others: Sequence[str], width: int) -> str:
    """`text` is among the others; they begin and end alike."""
    first = _alike([*others])
    last = _alike([other[first:][::-1] for other in others])
    differs = text[first : len(text) - last]
    room = width - 2 - columns(differs)
    if room < 0:
        return "…" + (cut_middle(differs, width - 1) if width > 1 else "")
    before = begin(text[:first], room // 2)
    behind = end(text[len(text) - last :], room - columns(before))
    return f"{before}…{differs}…{behind}" if differs else f"{before}…{behind}"


def _alike(texts: Sequence[str]) -> int:
    """With how many characters all of them begin."""
    pairs = enumerate(zip(min(texts), max(texts), strict=False))
    return next((at for at, (one, other) in pairs if one != other), len(min(texts, key=len)))
