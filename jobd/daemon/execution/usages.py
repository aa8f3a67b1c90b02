"""What running attempts use: their engines are asked, and only when somebody wants to see it."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from jobd.contract.models import Gpu
from jobd.core.usage import Usage
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.run import Run
from jobd.daemon.execution.runs import Runs
from jobd.engines.base import Away, Engine, Process, SeesGpus

log = logging.getLogger(__name__)
_FRESH_S: Final = 1.0
"""Seconds for which what was seen is told to others, too."""


class Usages:
    """Of jobs by their number. Any thread may ask; many who ask cost one look."""

    def __init__(
        self, runs: Runs, engines: Engines, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runs = runs
        self._engines = engines
        self._clock = clock
        self._turn = threading.Lock()
        """Held while GPUs are asked about: whoever comes meanwhile is told the same."""
        self._gpus: _SeenGpus | None = None
        self._looks = {name: _Looks(name, engines[name], clock) for name in engines}

    def of(self, jobs: Sequence[int]) -> dict[int, Usage]:
        """Of those that run; of others, and where an engine cannot say it now, there is nothing."""
        wanted: dict[str, list[Run]] = defaultdict(list)
        for run in map(self._runs.get, jobs):
            if run is not None and run.process is not None:
                wanted[run.engine].append(run)
        found: dict[int, Usage] = {}
        for engine, runs in wanted.items():
            found |= self._looks[engine].at(runs)
        return found

    def gpus(self) -> list[Gpu] | None:
        """Of this machine; None: it has none, or nobody can tell."""
        with self._turn:
            if self._gpus is None or self._gpus.at < self._clock() - _FRESH_S:
                found = self._ask_for_gpus()
                self._gpus = _SeenGpus(self._clock(), found)
            return self._gpus.found

    def _ask_for_gpus(self) -> list[Gpu] | None:
        for name, engine in self._that_see_gpus():
            try:
                found = engine.gpus()
            except (Away, OSError):
                continue
            except Exception:
                # Whoever asks how the daemon is hears the rest.
                log.exception("engine %s: what GPUs are doing cannot be seen", name)
                continue
            if found is not None:
                return list(found)
        return None

    def _that_see_gpus(self) -> Iterator[tuple[str, SeesGpus]]:
        for name in self._engines:
            engine = self._engines[name]
            if isinstance(engine, SeesGpus):
                yield name, engine

    def close(self) -> None:
        """Nobody looks at GPUs any more, and whoever waits for that is answered."""
        for name, engine in self._that_see_gpus():
            try:
                engine.look_no_more()
            except Exception:
                log.exception("engine %s broke down", name)


class _SeenGpus(NamedTuple):
    at: float
    found: list[Gpu] | None


class _Sample(NamedTuple):
    at: float
    usage: Usage


class _Looks:
    """At the attempts on one engine."""

    def __init__(self, name: str, engine: Engine, clock: Callable[[], float]) -> None:
        self._name = name
        self._engine = engine
        self._clock = clock
        self._turn = threading.Lock()
        """Held during a look: whoever comes meanwhile finds what it has seen."""
        self._seen: dict[str, _Sample] = {}
        """By token."""

    def at(self, runs: Sequence[Run]) -> dict[int, Usage]:
        by_token = {run.started.token: run for run in runs}
        with self._turn:
            oldest = self._clock() - _FRESH_S
            self._seen = {token: one for token, one in self._seen.items() if one.at >= oldest}
            self._look({t: r.process for t, r in by_token.items() if r.process is not None})
            seen = self._seen
        return {run.id: seen[token].usage for token, run in by_token.items() if token in seen}

    def _look(self, processes: Mapping[str, Process]) -> None:
        unseen = {token: one for token, one in processes.items() if token not in self._seen}
        if not unseen:
            return
        try:
            found = dict(zip(unseen, self._engine.usage(list(unseen.values())), strict=True))
        except (Away, OSError):
            return
        except Exception:
            # Whoever looks is shown the jobs, and those of other engines with what they use.
            log.exception("engine %s: what its jobs use cannot be seen", self._name)
            return
        now = self._clock()
        self._seen |= {token: _Sample(now, usage) for token, usage in found.items()}
