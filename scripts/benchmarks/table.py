"""The figures as text for people, as Markdown for `scripts/bench.md`, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from tabulate import tabulate

from scripts.benchmarks.figures import Figure, Outcome
from scripts.benchmarks.machine import Machine
from scripts.benchmarks.sizes import Sizes

_COLUMNS: Final = ("measured", "figure", "unit", "rounds", "CPU ms a job", "to reach", "reached")
_ALIGNED: Final = ("left", "right", "left", "left", "right", "right", "left")
_REACHED: Final = {True: "yes", False: "no", None: ""}

_HOW: Final = (
    "Medians, with the extremes of the rounds; a ratio is the median of each round's own. CPU time",
    "is of the queue and of the job together. Beside each name: the jobs of a round.",
)


def text_of(outcome: Outcome) -> str:
    """One scenario, as it is shown when it has ended."""
    title = f"{outcome.scenario}: {outcome.measured} ({outcome.seconds:.1f} s)"
    return "\n".join([title, *_table(outcome, "simple"), *_remarks(outcome), ""])


def summary_of(outcomes: Sequence[Outcome]) -> str:
    """How many targets were reached, and all that were not."""
    lines = [_reached(outcomes)]
    lines += [
        f"  not: {outcome.scenario}, {figure.what}: {_number(figure.value)} {figure.unit}"
        f" ({_target(figure)})"
        for outcome in outcomes
        for figure in outcome.figures
        if figure.is_reached is False
    ]
    lines += [f"  {one.scenario} skipped: {one.skipped}" for one in outcomes if one.skipped]
    lines += [f"  {one.scenario} failed: {one.failed}" for one in outcomes if one.failed]
    return "\n".join(lines)


def _reached(outcomes: Sequence[Outcome]) -> str:
    aimed = [f for outcome in outcomes for f in outcome.figures if f.target is not None]
    return f"{sum(bool(figure.is_reached) for figure in aimed)} of {len(aimed)} targets reached"


def markdown_of(outcomes: Sequence[Outcome], machine: Machine, sizes: Sizes) -> str:
    """All of it, as it stands in `scripts/bench.md`."""
    lines = ["# What a job costs", "", f"{machine.line()}; {explained(sizes)}", ""]
    lines += [*_HOW, "", f"{_reached(outcomes)}. Made by", ""]
    lines += [f"    scripts/bench --size {sizes.name} --peers --markdown scripts/bench.md"]
    for outcome in outcomes:
        lines += [
            "",
            f"## {outcome.scenario}",
            "",
            f"{outcome.measured[:1].upper()}{outcome.measured[1:]}.",
        ]
        lines += ["", *_table(outcome, "pipe")]
        for remark in _remarks(outcome):
            lines += ["", remark]
    return "\n".join(lines) + "\n"


def json_of(outcomes: Sequence[Outcome], machine: Machine, sizes: Sizes) -> str:
    """Figures with `reached` (null: no target), and why a scenario gave none."""
    scenarios = [
        {
            **asdict(outcome),
            "figures": [
                {**asdict(figure), "reached": figure.is_reached} for figure in outcome.figures
            ],
        }
        for outcome in outcomes
    ]
    found = {"machine": machine._asdict(), "size": sizes.name, "scenarios": scenarios}
    return json.dumps(found, indent=2, ensure_ascii=False)


def explained(sizes: Sizes) -> str:
    """Of which size the benchmark was."""
    store = f"{sizes.jobs:,} jobs a round, stores of {sizes.store:,} jobs"
    if sizes.name == "full":
        return f"full size: {store}."
    return f"{sizes.name} size: {store}; the targets are for the full one."


def _table(outcome: Outcome, form: str) -> list[str]:
    """Without columns in which nothing stands."""
    rows = [_cells(figure) for figure in outcome.figures]
    used = [place for place in range(len(_COLUMNS)) if any(row[place] for row in rows)]
    if not used:
        return []
    return tabulate(
        [[row[place].replace("|", "\\|") for place in used] for row in rows],
        headers=[_COLUMNS[place] for place in used],
        tablefmt=form,
        colalign=[_ALIGNED[place] for place in used],
        disable_numparse=True,
    ).splitlines()


def _remarks(outcome: Outcome) -> list[str]:
    said = list(outcome.notes)
    if outcome.skipped:
        said.append(f"skipped: {outcome.skipped}")
    if outcome.failed:
        said.append(f"failed: {outcome.failed}")
    return said


def _cells(figure: Figure) -> list[str]:
    spread = "" if figure.low is None or figure.high is None else _spread(figure.low, figure.high)
    cpu = "" if figure.cpu_ms is None else _number(figure.cpu_ms)
    reached = _REACHED[figure.is_reached]
    return [figure.what, _number(figure.value), figure.unit, spread, cpu, _target(figure), reached]


def _spread(low: float, high: float) -> str:
    return "" if low == high else f"{_number(low)} to {_number(high)}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'≤' if figure.target.at_most else '≥'} {_number(figure.target.value)}"


def _number(value: float) -> str:
    """Three digits that mean something, or a whole number."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
