"""A set of very many ids that no thread has to wait for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_BITS: Final = 12
"""Ids that differ in so many of their last bits alone are kept together."""


class IdSet:
    """In small pieces: a set of a million is moved as a whole when it grows, and looked through as
    a whole by the collector of cycles; meanwhile no other thread runs. For one thread at a time.
    """

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: dict[int, set[int]] = {}

    def add(self, ids: Iterable[int]) -> None:
        pieces = self._pieces
        for number in ids:
            place = number >> _BITS
            piece = pieces.get(place)
            if piece is None:
                piece = pieces[place] = set()
            piece.add(number)

    def __contains__(self, number: int) -> bool:
        piece = self._pieces.get(number >> _BITS)
        return piece is not None and number in piece
