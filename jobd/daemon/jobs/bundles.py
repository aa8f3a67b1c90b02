"""The commands of a submit, read piece by piece where they are many.

Whoever reads or frees a million of them in one go keeps all other threads from running meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from jobd.contract import wire
from jobd.contract.errors import BadRequest
from jobd.contract.models import BUNDLE, Bundle, Command, Submit


class Commands(Protocol):
    """All commands of a request, in their order; a list is one, too."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Command]: ...

    def __getitem__(self, numbers: slice, /) -> Sequence[Command]: ...


class Bundles:
    """Commands as they came, in bundles; of one bundle at a time they are in memory.

    Any thread may ask. Whoever reads raises BadRequest (a bundle is no bundle).
    """

    def __init__(self, bundles: Sequence[bytes]) -> None:
        """At least one; raises BadRequest (the last one is no bundle)."""
        self._bundles = bundles
        self._count = (len(bundles) - 1) * BUNDLE + len(_read(bundles[-1]))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Command]:
        for number in range(len(self._bundles)):
            yield from self._bundle(number)

    def __getitem__(self, numbers: slice) -> list[Command]:
        first, end, _ = numbers.indices(self._count)
        found: list[Command] = []
        for number in range(first // BUNDLE, -(-end // BUNDLE)):
            begin = number * BUNDLE
            found += self._bundle(number)[max(0, first - begin) : end - begin]
        return found

    def _bundle(self, number: int) -> list[Command]:
        commands = _read(self._bundles[number])
        if len(commands) < BUNDLE and number < len(self._bundles) - 1:
            raise BadRequest(f"bundles: bundle {number + 1} is not full, and others follow")
        return commands


def commands_of(request: Submit) -> Commands:
    """Raises: BadRequest."""
    if not request.bundles:
        return request.commands
    if request.commands:
        raise BadRequest("bundles: they come in the place of commands, not beside them")
    return Bundles(request.bundles)


def _read(bundle: bytes) -> list[Command]:
    try:
        return wire.decode(bundle, Bundle).commands
    except wire.UNREADABLE as error:
        raise BadRequest(f"bundles: unreadable: {error}") from None
