"""Jobs that wait for each other: whether they do so in a circle."""

from __future__ import annotations

from collections.abc import Sequence


def circle(parents: Sequence[Sequence[int]]) -> list[int] | None:
    """Places, each waiting for the next and the last for the first; None: there are none such.

    `parents[n]`: the places that place `n` waits for.
    """
    waits = [len(set(found)) for found in parents]
    children: list[list[int]] = [[] for _ in parents]
    for place, found in enumerate(parents):
        for parent in set(found):
            children[parent].append(place)
    free = [place for place, count in enumerate(waits) if not count]
    while free:
        for child in children[free.pop()]:
            waits[child] -= 1
            if not waits[child]:
                free.append(child)
    start = next((place for place, count in enumerate(waits) if count), None)
    return None if start is None else _follow(parents, waits, start)


def _follow(parents: Sequence[Sequence[int]], waits: Sequence[int], start: int) -> list[int]:
    """Whoever is left waits for somebody who is left: go on until one comes again."""
    way, places = [start], {start: 0}
    while (following := next(p for p in parents[way[-1]] if waits[p])) not in places:
        places[following] = len(way)
        way.append(following)
    return way[places[following] :]
