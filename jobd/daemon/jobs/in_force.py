"""The configuration that holds: who goes by it asks here each time, since reloads change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from jobd.contract.config import Config
from jobd.contract.configured import Configured, keys_of
from jobd.contract.states import Source
from jobd.core.notification.rules import Rule, rules_of
from jobd.core.reconfiguration import in_place
from jobd.core.undo import Undo


class Held(Struct, frozen=True, kw_only=True):
    """All of it at one moment."""

    config: Config
    """What this daemon goes by."""
    loaded: Configured
    """What was read last; of it some keys may wait for the next daemon."""
    sources: Mapping[str, Source]
    """Whence each key of `config` is."""
    rules: Sequence[Rule]


class InForce:
    """Any thread asks; it is replaced in a transaction of the writer."""

    def __init__(self, loaded: Configured, undo: Undo) -> None:
        self._undo = undo
        self.held = Held(
            config=loaded.config,
            loaded=loaded,
            sources={key: loaded.source(key) for key in keys_of(loaded.config)},
            rules=rules_of(loaded.config.notify),
        )

    @property
    def config(self) -> Config:
        return self.held.config

    @property
    def rules(self) -> Sequence[Rule]:
        """In the order of the file."""
        return self.held.rules

    def replace(self, loaded: Configured) -> None:
        """As much of it as counts at once; taken back if the transaction fails."""
        before = self.held
        config = in_place(before.config, loaded.config)
        wanted = keys_of(loaded.config)
        sources = {
            key: loaded.source(key)
            if value == wanted.get(key)
            else before.sources.get(key, Source.DEFAULT)
            for key, value in keys_of(config).items()
        }
        self._undo.add(lambda: self._set(before))
        self._set(
            Held(config=config, loaded=loaded, sources=sources, rules=rules_of(config.notify))
        )

    def _set(self, held: Held) -> None:
        self.held = held
