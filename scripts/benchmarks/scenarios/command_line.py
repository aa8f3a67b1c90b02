"""What a command costs whoever types it, beside the imports that any such client needs."""

from __future__ import annotations

import sys
from typing import Final

from jobd.contract.models import Options
from scripts.benchmarks.bench import Bench, Measured, Scenario
from scripts.benchmarks.figures import Failed, Target, at_most, of_rounds
from scripts.benchmarks.instance import NO_OP, Instance, await_all
from scripts.benchmarks.measure import Took, timed

_IMPORTS: Final = "import click, rpyc"
_JOBS: Final = 20
"""In the table that `ls` prints."""
_COMMANDS: Final[dict[str, tuple[tuple[str, ...], int, Target]]] = {
    "submit": (("submit", "true"), 0, at_most(1.0)),
    "show": (("show", "1"), 0, at_most(1.0)),
    "wait": (("wait", "1"), 0, at_most(1.0)),
    "usage error": (("submit", "--slots", "many", "true"), 2, at_most(1.0)),
    "ls, a table": (("ls", "-n", str(_JOBS)), 0, at_most(1.3)),
}
"""Words, exit code, and what is to be reached."""


def _command_line(bench: Bench) -> Measured:
    """By turns with the imports alone, in the same interpreter."""
    wall: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    cpu: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    imports, imports_cpu = [], []
    with bench.instance(workers=1) as instance:
        _prepare(instance)
        for number in range(bench.sizes.commands):
            bench.say(f"round {number + 1} of {bench.sizes.commands}")
            for name, (words, code, _) in _COMMANDS.items():
                bare = timed([sys.executable, "-c", _IMPORTS], env=instance.environment)
                took = _run(instance, words, code)
                wall[name].append(took.wall / bare.wall)
                cpu[name].append(took.cpu / bare.cpu)
                imports.append(1000 * bare.wall)
                imports_cpu.append(1000 * bare.cpu)
    yield of_rounds(f"python -c '{_IMPORTS}'", imports, "ms, by the clock")
    yield of_rounds(f"python -c '{_IMPORTS}'", imports_cpu, "ms of CPU")
    for name, (_, _, target) in _COMMANDS.items():
        yield of_rounds(name, wall[name], "times the imports, by the clock", target=target)
        yield of_rounds(name, cpu[name], "times the imports, CPU", target=target)


def _prepare(instance: Instance) -> None:
    """A job that has ended, and others that wait."""
    with instance.client() as client:
        client.submit(instance.request([NO_OP]))
        await_all(client, 1, 1)
        client.submit(instance.request([NO_OP] * _JOBS, Options(hold=True)))


def _run(instance: Instance, words: tuple[str, ...], code: int) -> Took:
    took = instance.timed(*words)
    if took.code != code:
        raise Failed(f"jobctl {' '.join(words)}: exit code {took.code}, not {code}")
    return took


COMMAND_LINE: Final = Scenario(
    "command-line", "`jobctl` beside an interpreter that only imports click and rpyc", _command_line
)
