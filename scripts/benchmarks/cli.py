"""The command: which scenarios, how large, and how it is told."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from scripts.benchmarks import table
from scripts.benchmarks.bench import Bench, Scenario
from scripts.benchmarks.figures import Failed, Outcome, Skipped
from scripts.benchmarks.machine import this_machine
from scripts.benchmarks.scenarios import SCENARIOS
from scripts.benchmarks.sizes import QUICK, SIZES

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 where a scenario failed, with `--strict` also where a target was missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.scenarios if name not in SCENARIOS]:
        parser.error(f"no scenario is called {', '.join(unknown)}; see: scripts/bench --list")
    if options.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:14}{scenario.measured}")
        return 0
    chosen = [SCENARIOS[name] for name in options.scenarios or SCENARIOS]
    sizes = QUICK if options.quick else SIZES[options.size]
    for number in _ENDING:
        signal.signal(number, _end)
    with _scratch(options.dir) as scratch:
        machine = this_machine(scratch)
        _say(f"{machine.line()}; {table.explained(sizes)}")
        bench = Bench(scratch, sizes, options.peers, _say)
        outcomes = []
        for scenario in chosen:
            outcomes.append(_outcome(bench, scenario))
            if not options.json:
                print(f"\n{table.text_of(outcomes[-1])}", flush=True)
    print(table.json_of(outcomes, machine, sizes) if options.json else table.summary_of(outcomes))
    if options.markdown:
        options.markdown.write_text(table.markdown_of(outcomes, machine, sizes), "utf-8")
    if any(outcome.failed for outcome in outcomes):
        return 1
    missed = any(figure.is_reached is False for one in outcomes for figure in one.figures)
    return int(options.strict and missed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="What a job costs, and how that grows. Without names: everything, which takes"
        " most of an hour unless it is --quick.",
        epilog="Example: scripts/bench --quick --peers dispatch listing",
    )
    parser.add_argument("scenarios", nargs="*", metavar="NAME", help="see --list")
    parser.add_argument("--list", action="store_true", help="the names, and what each measures")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smaller sizes: all of it in a few minutes",
    )
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: only whether it works")
    parser.add_argument(
        "--peers", action="store_true", help="beside xargs also every other queue on PATH"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write all tables there, too")
    parser.add_argument(
        "--strict", action="store_true", help="exit code 1 where a target is missed"
    )
    parser.add_argument("--dir", type=Path, help="where to work; its file system counts")
    return parser


def _outcome(bench: Bench, scenario: Scenario) -> Outcome:
    """What a scenario gives; whatever goes wrong in it ends it alone."""
    outcome = Outcome(scenario.name, scenario.measured)
    bench.note = outcome.notes.append
    bench.say = lambda what: _say(f"{scenario.name}: {what}")
    begun = time.perf_counter()
    try:
        for figure in scenario.run(bench):
            outcome.figures.append(figure)
    except Skipped as error:
        outcome.skipped = str(error)
    except Failed as error:
        outcome.failed = str(error)
    except Exception as error:  # noqa: BLE001 - the others are measured all the same
        outcome.failed = f"{type(error).__name__}: {error}"
    outcome.seconds = time.perf_counter() - begun
    return outcome


@contextlib.contextmanager
def _scratch(parent: Path | None) -> Iterator[Path]:
    """A directory that is gone at the end, however that comes; whoever ends us twice waits."""
    scratch = Path(tempfile.mkdtemp(prefix="jobd-bench-", dir=parent))
    try:
        yield scratch
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        shutil.rmtree(scratch, ignore_errors=True)


def _end(number: int, _: object) -> None:
    """At the first signal: everything is left in order, and the next ones change nothing."""
    for ending in _ENDING:
        signal.signal(ending, signal.SIG_IGN)
    sys.exit(128 + number)


def _say(what: str) -> None:
    """To whoever waits, beside the result."""
    print(f"\r{what}" if os.isatty(2) else what, file=sys.stderr, flush=True)
