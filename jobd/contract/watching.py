"""Tables of `config.toml` for those who watch a daemon: its log, its metrics."""

from __future__ import annotations

import os
from enum import StrEnum

import msgspec
from msgspec import Struct

from jobd.contract import listening


class LogForm(StrEnum):
    """How the daemon's log is written."""

    TEXT = "text"
    JSON = "json"
    """A line of JSON a record, with job, attempt and user where it names them."""


class LogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[log]`. Under systemd the journal gets all, with fields of its own."""

    format: LogForm = LogForm.TEXT
    """`"json"`: the daemon's log is a line of JSON a record."""


class MetricsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[metrics]`: numbers for Prometheus. Where both keys are empty there are none."""

    listen: str = ""
    """Where metrics are answered: `"127.0.0.1:9720"`, or the absolute path of a Unix socket."""
    textfile: str = ""
    """Absolute directory in which node_exporter finds them."""

    @property
    def on(self) -> bool:
        """Whether anybody is to see them."""
        return bool(self.listen or self.textfile)

    def check(self) -> None:
        """Raises: msgspec.ValidationError (an address or a path is none)."""
        if self.listen:
            try:
                listening.parse(self.listen)
            except ValueError as error:
                raise msgspec.ValidationError(f"{error} - at `$.metrics.listen`") from None
        if self.textfile and not os.path.isabs(self.textfile):
            raise msgspec.ValidationError("an absolute path is needed - at `$.metrics.textfile`")
