"""What a daemon is started with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from jobd.contract.config import Config
from jobd.contract.configured import Configured
from jobd.contract.paths import Paths
from jobd.engines.base import Heritage


class Setup(Struct, frozen=True, kw_only=True):
    """Where an instance lives, how it is configured, and what the daemon before it was doing."""

    paths: Paths
    configured: Configured
    fresh: bool = True
    """Started by a person, not by a supervisor that replaces a daemon."""
    established: bool = False
    """A daemon of this instance has been ready before: then its database is there."""
    draining: bool = False
    """The daemon before was asked to stop, and its jobs still run."""
    drain_until: int | None = None
    """When those are to be ended, microseconds since boot."""
    unsaved: Mapping[str, int] = {}
    """When attempts, by token, ended whose end the daemon before has seen and could not save,
    microseconds since boot.
    """
    heritage: Callable[[str], Heritage] = lambda _: Heritage()
    """What the daemon before has left for an engine, by its name."""

    @property
    def config(self) -> Config:
        """As it was when the daemon was started."""
        return self.configured.config
