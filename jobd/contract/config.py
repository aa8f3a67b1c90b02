"""The daemon's configuration: defaults < `config.toml` < options of `jobd start`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from jobd.contract import config_checks, destinations, durations, sizes
from jobd.contract.destinations import Destination
from jobd.contract.models import DEFAULT_GRACE, MAX_RETRIES, MAX_WORKERS, Group, Tag
from jobd.contract.states import ENDS, Occasion, State

MAX_EVENTS: Final = 1_000_000
"""Events of the history that are kept unless the configuration says otherwise."""
MAX_HISTORY: Final = 1_000_000
"""Attempts of removed jobs that are kept, to be counted, unless it says otherwise."""
_EVENTS_OF_A_JOB: Final = 20
_FEWEST_EVENTS: Final = 10_000
"""Where the number of jobs is limited, so is the history that tells of them."""


class Duration(float):
    """Seconds, written like the durations of `jobctl`."""


class Size(int):
    """Bytes, written like `50MB` or `1.5GiB`."""


EngineName = Annotated[str, Meta(min_length=1, max_length=64)]
"""As an entry point has it."""


class SyncOutput(StrEnum):
    """When the output of a job that has ended is brought to the disk, so that no power cut takes
    it.
    """

    BEFORE_END = "before-end"
    """Before anybody is told that it has ended: it keeps its worker for as long as that takes."""
    SOON = "soon"
    """Within seconds of it, with that of others, by a thread that nobody waits for."""
    NEVER = "never"
    """When the kernel does it: after half a minute, as a rule."""


class DaemonConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[daemon]`; each key is named like its option."""

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] = 3
    engine: EngineName = "local"
    """Where jobs run whose group does not say it."""
    shell: str = "/bin/sh"
    grace: Duration = Duration(DEFAULT_GRACE)
    """Seconds between the first signal and KILL."""
    env_exclude: list[Annotated[str, Meta(min_length=1, max_length=255)]] = field(
        default_factory=list
    )
    """Patterns (`*_TOKEN`) of variables that are taken out of every captured environment."""
    max_output: Size = Size(0)
    """Bytes that are kept of an attempt's output where `--max-output` says nothing; 0: all."""
    max_log: Size = Size(10_000_000)
    """Bytes of the daemon's log before a new one is begun; 0: no limit."""
    sync_output: SyncOutput = SyncOutput.SOON
    state_is_private: bool = False
    """No other host uses the state directory, although it lies on a network file system."""


class GroupConfig(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A table `[groups.NAME]`: a named share of the workers."""

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] | None = None
    """How many its jobs may occupy at a time; None: as many as it had, or as there are."""
    engine: EngineName | None = None
    """Where its jobs run; None: where `[daemon] engine` says."""


class GpuConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[gpus]`."""

    devices: Annotated[list[Annotated[int, Meta(ge=0, le=1023)]], Meta(max_length=64)] = field(
        default_factory=list
    )
    """Indexes as CUDA numbers them, the preferred one first."""
    per_device: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    """Jobs on one device at a time."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table `[retention.STATE]`: what is kept of finished jobs; 0 is no limit.

    What is not given here is as `[retention]` has it.
    """

    max_age: Duration | None = None
    """Seconds since its end after which a job is deleted."""
    max_jobs: Annotated[int, Meta(ge=0)] | None = None
    max_output: Size | None = None
    """Bytes of output of all of them together."""


class Retention(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[retention]`: limits of all finished jobs whose state has none of its own."""

    max_events: Annotated[int, Meta(ge=0)] | None = None
    max_history: Annotated[int, Meta(ge=0)] = MAX_HISTORY
    """Finished attempts of removed jobs that can still be counted; 0: all."""
    compress_after: Duration = Duration(0)
    """Seconds since the end of a job after which its output is compressed; 0: never."""
    completed: Limits = Limits()
    failed: Limits = Limits()
    stopped: Limits = Limits()

    @property
    def events(self) -> int:
        """How many events of the history are kept; 0: all."""
        if self.max_events is not None:
            return self.max_events
        if not self.max_jobs:
            return MAX_EVENTS
        return min(MAX_EVENTS, max(_FEWEST_EVENTS, self.max_jobs * _EVENTS_OF_A_JOB))


class AccessConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[access]`: others who may use this daemon, through a socket of their own.

    Names are logins, and groups with an @ before them: `["anna", "@staff"]`.
    """

    socket: str = ""
    """Where it lies, absolute; empty: there is none."""
    viewers: list[str] = field(default_factory=list)
    """They see jobs, output and history, and no environment."""
    admins: list[str] = field(default_factory=list)
    """They may do all, and so run commands as the daemon's user."""

    @property
    def socket_path(self) -> Path | None:
        """Where others come in; None: nowhere."""
        return Path(self.socket) if self.socket else None


class NotifyConfig(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A table `[[notify]]`: who is told of what. Several values of one key are alternatives."""

    name: Annotated[str, Meta(max_length=64, pattern=r"\A[A-Za-z0-9_.-]*\Z")] = ""
    """What lists call it; empty: `notify` and its number."""
    on: Annotated[list[Occasion], Meta(min_length=1)] = field(default_factory=lambda: list(ENDS))
    states: list[State] = field(default_factory=list)
    """Only of jobs that have come to one of these; empty: whichever."""
    groups: list[Group] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    min_runtime: Duration = Duration(0)
    """Only of attempts that ran so many seconds."""
    command: str | list[str] = ""
    """A shell line, or a list of words that are run as they are."""
    urls: list[str] = field(default_factory=list)
    timeout: Duration = Duration(30)
    """Seconds that one try may take."""
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 9
    retry_delay: Duration = Duration(10)
    """Seconds before the first of them; doubles each time."""

    def destinations(self) -> list[Destination]:
        """Each is told by itself. Raises: ValueError, which begins with the key."""
        found = []
        if not self.timeout:
            raise ValueError("timeout: a time to send it in is needed")
        if self.command:
            line = self.command
            make = destinations.shell_line if isinstance(line, str) else destinations.program
            found.append(_of("command", make, line))
        found += [_of("urls", destinations.address, url) for url in self.urls]
        if not found:
            raise ValueError("it needs a command or urls")
        return found


def _of(key: str, make: Callable[[Any], Destination], given: object) -> Destination:
    try:
        return make(given)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


class MetricsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[metrics]`: numbers for Prometheus. Where both keys are empty there are none."""

    listen: str = ""
    """Where they are answered: `127.0.0.1:9720`, or the absolute path of a Unix socket."""
    textfile: str = ""
    """An absolute directory, in which a file with them is kept for node_exporter."""

    @property
    def on(self) -> bool:
        """Whether anybody is to see them."""
        return bool(self.listen or self.textfile)


class ClientConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[client]`, which `jobctl` reads and no daemon."""

    owner: str = ""
    """Whose daemon listens at `JOBD_SOCKET`, a login; empty: that of the owner of its directory."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All of `config.toml`, checked; what is not written there has its default.

    What is empty is not told on the way to the daemon (`to_builtins`): a version that does not know
    a table yet, or no more, starts all the same.
    """

    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    groups: dict[Group, GroupConfig] = field(default_factory=dict)
    gpus: GpuConfig = field(default_factory=GpuConfig)
    access: AccessConfig = field(default_factory=AccessConfig)
    client: ClientConfig = field(default_factory=ClientConfig)
    retention: Retention = field(default_factory=Retention)
    notify: list[NotifyConfig] = field(default_factory=list)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    engine: dict[EngineName, dict[str, Any]] = field(default_factory=dict)
    """Tables `[engine.NAME]`: each engine checks its own."""

    def engines(self) -> dict[str, str]:
        """Every engine that is named, with the key that names it."""
        named = {self.daemon.engine: "engine"}
        for name, group in self.groups.items():
            if group.engine is not None:
                named.setdefault(group.engine, f"[groups.{name}] engine")
        return named

    def idle_engines(self) -> dict[str, dict[str, Any]]:
        """The sections of those that no job runs on just now."""
        named = self.engines()
        return {name: section for name, section in self.engine.items() if name not in named}


TABLES: Final[dict[str, type[Struct]]] = {
    "": Config,
    "daemon": DaemonConfig,
    "groups[...]": GroupConfig,
    "gpus": GpuConfig,
    "access": AccessConfig,
    "client": ClientConfig,
    "retention": Retention,
    "retention.completed": Limits,
    "retention.failed": Limits,
    "retention.stopped": Limits,
    "notify[...]": NotifyConfig,
    "metrics": MetricsConfig,
}
"""What may stand where, each table named as msgspec names it in its errors (but for a number)."""


def convert(tables: dict[str, Any]) -> Config:
    """From what a file says. Raises: msgspec.ValidationError."""
    config_checks.refuse_nul(tables)
    config = msgspec.convert(tables, Config, dec_hook=_read)
    config_checks.check(config)
    return config


def to_builtins(config: Config) -> Any:  # noqa: ANN401 - as msgspec has it
    """For the way from process to process, as JSON."""
    return msgspec.to_builtins(config, enc_hook=_plain)


def from_builtins(tables: dict[str, Any]) -> Config:
    """The opposite of `to_builtins`."""
    return msgspec.convert(tables, Config, dec_hook=_read)


def _read(kind: type, value: object) -> object:
    """A duration or a size, as text or as a plain number. Raises: ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"Expected text such as {'30d' if kind is Duration else '50MB'}")  # noqa: TRY004 - msgspec adds the key to it
    if kind is Duration:
        return Duration(durations.parse(str(value)))
    return Size(sizes.parse(str(value)))


def _plain(value: object) -> float:
    if isinstance(value, Size):
        return int(value)
    if isinstance(value, Duration):
        return float(value)
    raise NotImplementedError
