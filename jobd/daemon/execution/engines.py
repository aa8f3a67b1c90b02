"""The engines of this daemon: those that jobs may start on, and those of attempts that run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from jobd.contract.errors import BadRequest
from jobd.core.placement import Placement
from jobd.core.usage import Usage
from jobd.engines import loading
from jobd.engines.base import (
    Attempt,
    Away,
    CannotStart,
    Context,
    Engine,
    Fate,
    Heritage,
    HoldsFiles,
    Launch,
    Process,
)
from jobd.outputs.in_memory import MemoryWorkspace
from jobd.outputs.workspace import Workspaces

log = logging.getLogger(__name__)


class Engines:
    """By name. Any thread may ask."""

    def __init__(self, placement: Placement, by_name: Mapping[str, Engine]) -> None:
        self.placement = placement
        self.workspaces = Workspaces(
            placement.default,
            {
                name: engine.workspace
                for name, engine in by_name.items()
                if not isinstance(engine, _Missing)
            },
        )
        self._by_name = by_name

    def __getitem__(self, name: str) -> Engine:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    @property
    def default(self) -> Engine:
        """That of groups that name none."""
        return self._by_name[self.placement.default]

    @property
    def descriptors(self) -> int:
        """As `HoldsFiles.descriptors`, of all together."""
        return sum(
            engine.descriptors
            for engine in self._by_name.values()
            if isinstance(engine, HoldsFiles)
        )

    def refusal(self, group: str, options: Sequence[str]) -> str | None:
        """Why the engine of that group does not take one of them; None: it takes all."""
        name = self.placement.engine_of(group)
        try:
            self._by_name[name].check_options(options)
        except CannotStart as error:
            return f"{error}; jobs of group {group} run on engine {name}"
        return None

    def freeze(self) -> None:
        """As `Engine.freeze`, all of them: what goes wrong in one is none of the others' business,
        nor a reason for this process not to be replaced.
        """
        for name, engine in self._by_name.items():
            with _faults_told(name):
                engine.freeze()

    def heritage(self) -> dict[str, Heritage]:
        found: dict[str, Heritage] = {}
        for name, engine in self._by_name.items():
            with _faults_told(name):
                found[name] = engine.heritage()
        return found

    def close(self) -> None:
        """Called when nothing can be recorded any more."""
        for name, engine in self._by_name.items():
            with _faults_told(name):
                engine.close()


@contextmanager
def _faults_told(engine: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("engine %s broke down", engine)


def load(
    placement: Placement,
    chosen: Mapping[str, str],
    running: Collection[str],
    context_of: Callable[[str], Context],
) -> Engines:
    """`chosen`: the engines that jobs may start on, with the key of the configuration that says so.

    `running`: those of attempts that run: they are seen to by the engine that has started them,
    whatever the configuration says by now.

    Raises: BadRequest (one that the configuration names cannot be loaded), OSError.
    """
    by_name: dict[str, Engine] = {}
    try:
        for name, key in chosen.items():
            by_name[name] = loading.load(context_of(name), key)
        for name in running:
            if name not in by_name:
                by_name[name] = _former(context_of(name))
    except BaseException:
        Engines(placement, by_name).close()
        raise
    return Engines(placement, by_name)


def _former(context: Context) -> Engine:
    try:
        return loading.load(context)
    except BadRequest as error:
        return _Missing(str(error))


class _Missing:
    """An engine that attempts run on and that cannot be loaded: nothing is known of them."""

    capacity = None

    def __init__(self, why: str) -> None:
        self._why = why
        self.lets_go_at_once = True
        self.workspace = MemoryWorkspace()
        self.host = ""

    def check_options(self, options: Sequence[str]) -> None:
        del options

    def recover(self, attempts: Sequence[Attempt]) -> dict[str, Process | Fate]:
        del attempts
        raise Away(self._why)

    def start(self, launch: Launch) -> Process:
        del launch
        raise Away(self._why)

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        del orders
        raise Away(self._why)

    def usage(self, processes: Sequence[Process]) -> Sequence[Usage]:
        del processes
        raise Away(self._why)

    def freeze(self) -> None:
        return

    def heritage(self) -> Heritage:
        return Heritage()

    def close(self) -> None:
        return
