"""What every scenario is handed: a directory to work in, sizes, daemons, and a way to tell."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jobd.contract.models import Selector
from jobd.contract.states import State
from scripts.benchmarks.figures import Figure, Skipped
from scripts.benchmarks.instance import Instance, await_all
from scripts.benchmarks.sizes import Sizes

HIGH: Final = 100
"""A priority: before all that waits in the filled store."""
PROGRAMS: Final = Path(__file__).with_name("programs")
"""What runs in a process of its own."""


@dataclass
class Bench:
    """One call of the whole program; scenarios use it one after the other."""

    scratch: Path
    sizes: Sizes
    with_peers: bool
    say: Callable[[str], None]
    """Tells whoever waits what is being done just now."""
    note: Callable[[str], None] = lambda _: None
    """Adds a line that belongs to the figures of the scenario that runs."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def directory(self) -> Path:
        """A path that is not used yet."""
        return self.scratch / str(next(self._numbers))

    @contextlib.contextmanager
    def instance(
        self, *options: str, workers: int = 0, environment: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        """A daemon with an empty store, every commit durable; gone with all it has at the end."""
        instance = Instance(self.directory())
        with self._ended(instance):
            instance.start("--workers", str(workers), *options, environment=environment)
            yield instance

    @contextlib.contextmanager
    def filled(self) -> Iterator[Instance]:
        """A daemon on a copy of `store`."""
        instance = Instance(self.directory())
        shutil.copytree(self._store(), instance.home)
        with self._ended(instance):
            instance.start("--workers", "0")
            yield instance

    @contextlib.contextmanager
    def _ended(self, instance: Instance) -> Iterator[None]:
        try:
            yield
        finally:
            try:
                instance.stop()
            finally:
                shutil.rmtree(instance.home, ignore_errors=True)

    def _store(self) -> Path:
        """As many jobs that wait for a worker, of low priority, as have failed; made once.

        Job 1 has failed, and then those behind it that waited for it; those that wait follow.
        """
        home = self.scratch / "store"
        if home.exists():
            return home
        count = self.sizes.store
        self.say(f"filling a store with {count:,} jobs that wait and {count:,} that have failed")
        instance = Instance(self.directory())
        with self._ended(instance):
            instance.start("--workers", "0")
            instance.jobctl("submit", "false")
            instance.jobctl("submit", "--after", "1", "--array", f"1-{count - 1}", "true")
            instance.jobctl("workers", "1")
            with instance.client() as client:
                await_all(client, 1, count, state=State.FAILED)
            instance.jobctl("workers", "0")
            lines = b"true\n" * count
            instance.jobctl("submit", "--priority", "low", "--file", "-", stdin=lines)
            instance.stop()
            shutil.copytree(instance.home, home, ignore=shutil.ignore_patterns("*.sock"))
        return home

    @property
    def waiting(self) -> tuple[int, int]:
        """The first and the last job of the filled store that wait."""
        return self.sizes.store + 1, 2 * self.sizes.store

    def compiled(self, name: str, *flags: str) -> Path:
        """A program or library made from C. Raises: Skipped (there is no compiler that does it)."""
        target = self.scratch / name.removesuffix(".c")
        if target.exists():
            return target
        compiler = shutil.which("cc")
        if compiler is None:
            raise Skipped("there is no C compiler (cc), so that nothing can be injected")
        source = PROGRAMS / name
        command: list[str | Path] = [compiler, "-O2", *flags, "-o", target, source, "-ldl"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise Skipped(f"cc cannot compile {name}: {made.stderr.strip()[-300:]}")
        return target


Measured = Iterator[Figure]


@dataclass(frozen=True)
class Scenario:
    """A row of the table; `run` gives its figures as they come.

    It raises Skipped where this machine cannot measure it, Failed where something went wrong.
    """

    name: str
    measured: str
    run: Callable[[Bench], Measured]


def all_of(first: int, last: int) -> Selector:
    """These jobs."""
    return Selector(ids=[(first, last)])
