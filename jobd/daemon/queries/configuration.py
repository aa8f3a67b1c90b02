"""`configuration`: what of the configuration holds, and whence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jobd.contract.call import Call
from jobd.contract.config import Config
from jobd.contract.configured import file_of, settings_of
from jobd.contract.models import Configuration, Holding
from jobd.core.ledger import Ledger
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.queries.views import path_text


class ConfigurationQuery:
    """Called by clients' threads."""

    def __init__(self, usual: Path, in_force: InForce, ledger: Ledger) -> None:
        """`usual`: the file, if `--config` named none."""
        self._usual = usual
        self._in_force = in_force
        self._ledger = ledger

    def configuration(self, _request: Configuration, _: Call) -> Holding:
        held = self._in_force.held
        by_hand = dict(self._by_hand(held.config))
        return Holding(
            file=path_text(file_of(self._usual, held.loaded.origin)),
            settings=settings_of(held.config, held.sources, held.loaded.config, by_hand),
        )

    def _by_hand(self, config: Config) -> Iterator[tuple[str, object]]:
        """What `jobctl workers` and `groups` have set in its place."""
        if self._ledger.workers != config.daemon.workers:
            yield "daemon.workers", self._ledger.workers
        for name, group in config.groups.items():
            share = self._ledger.groups.get(name)
            if share is not None and group.workers not in (None, share.workers):
                yield f"groups.{name}.workers", share.workers
