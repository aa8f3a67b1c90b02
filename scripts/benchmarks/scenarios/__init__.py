"""Every row of the table, in its order; a module a family."""

from __future__ import annotations

from typing import Final

from scripts.benchmarks.bench import Scenario
from scripts.benchmarks.scenarios import (
    clients,
    command_line,
    crowds,
    dispatch,
    footprint,
    growth,
    latency,
    listing,
    slurm,
    submission,
)

SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        dispatch.DISPATCH,
        dispatch.LOADED,
        dispatch.DURABLE,
        submission.ENQUEUE,
        listing.LISTING,
        growth.GROWTH,
        latency.START,
        latency.FINISH,
        command_line.COMMAND_LINE,
        footprint.MEMORY,
        growth.RESTART,
        crowds.MANY_WORKERS,
        crowds.MANY_EYES,
        clients.LONG_OUTPUT,
        submission.NO_LONG_LOCK,
        footprint.IDLE,
        slurm.SLURM,
    )
}
