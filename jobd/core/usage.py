"""What an attempt uses of the machine that it runs on."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

N = TypeVar("N", int, float)


class Usage(NamedTuple):
    """Up to now, as far as that can be seen; None: nobody can tell."""

    cpu_s: float | None = None
    """User and system time of all its processes, seconds."""
    max_rss_kb: int | None = None
    """The most memory that one of its processes has had, KiB, as the kernel tells it at the end."""
    rss_kb: int | None = None
    """Memory of all its processes together, KiB; what they share counts for each of them."""
    gpu_memory_kb: int | None = None
    """The same of the memory of GPUs."""

    def at_least(self, before: Usage) -> Usage:
        """What has been used once stays used, also when whoever has used it is gone."""
        return self._replace(
            cpu_s=_larger(self.cpu_s, before.cpu_s),
            max_rss_kb=_larger(self.max_rss_kb, before.max_rss_kb),
        )


def _larger(one: N | None, other: N | None) -> N | None:
    known = [number for number in (one, other) if number is not None]
    return max(known, default=None)
