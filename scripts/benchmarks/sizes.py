"""How much of everything: as the targets have it, smaller for a look, or next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLOTS: Final = 3
"""Jobs at a time, where nothing else is said: the default of the daemon."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Counts and seconds of one size of the whole benchmark."""

    name: str
    rounds: int
    """By turns, of whatever is compared."""
    peer_rounds: int
    """The first of them, in which other queues take part: they are slower, and vary less."""
    jobs: int
    """No-op jobs in a round."""
    compared_jobs: int
    """The same where we are compared with ourselves: a ratio, whatever their number is."""
    durable_jobs: int
    """The same where each sync of the disk takes 5 ms."""
    slurm_jobs: int
    """The same on a cluster."""
    lines: tuple[int, int]
    """Of one submission, a small and a large one."""
    store: int
    """Jobs that wait, and as many that have ended."""
    looks: int
    """Single requests whose time is taken: starts, ends, submissions."""
    commands: int
    """Rounds of each command line."""
    ended: int
    """Jobs that are run to see whether memory grows."""
    followers: int
    crowds: tuple[tuple[int, float, float], ...]
    """Workers, seconds of a job, seconds of steady state."""
    eyes: int
    """Clients that watch."""
    paced_seconds: float
    """How long a job writes 200 MB a second."""
    idle_seconds: float


FULL: Final = Sizes(
    name="full",
    rounds=5,
    peer_rounds=3,
    jobs=10_000,
    compared_jobs=5_000,
    durable_jobs=1_000,
    slurm_jobs=1_000,
    lines=(100_000, 1_000_000),
    store=1_000_000,
    looks=300,
    commands=15,
    ended=100_000,
    followers=950,
    crowds=((200, 1.0, 10.0), (1000, 10.0, 20.0)),
    eyes=200,
    paced_seconds=5.0,
    idle_seconds=30.0,
)
QUICK: Final = Sizes(
    name="quick",
    rounds=3,
    peer_rounds=3,
    jobs=300,
    compared_jobs=300,
    durable_jobs=100,
    slurm_jobs=300,
    lines=(1_000, 5_000),
    store=5_000,
    looks=30,
    commands=3,
    ended=500,
    followers=100,
    crowds=((200, 1.0, 1.0),),
    eyes=10,
    paced_seconds=0.5,
    idle_seconds=3.0,
)
TINY: Final = Sizes(
    name="tiny",
    rounds=1,
    peer_rounds=1,
    jobs=10,
    compared_jobs=10,
    durable_jobs=5,
    slurm_jobs=5,
    lines=(10, 20),
    store=20,
    looks=2,
    commands=1,
    ended=10,
    followers=3,
    crowds=((5, 0.1, 0.2),),
    eyes=2,
    paced_seconds=0.1,
    idle_seconds=0.1,
)
SIZES: Final = {sizes.name: sizes for sizes in (FULL, QUICK, TINY)}
