"""The daemon's configuration: defaults < `config.toml` < options of `jobd start`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from jobd.contract import destinations, durations, sizes
from jobd.contract.access import AccessConfig
from jobd.contract.destinations import Destination
from jobd.contract.models import DEFAULT_GRACE, MAX_RETRIES, MAX_WORKERS, Group, Tag
from jobd.contract.ownership import number_of
from jobd.contract.states import ENDS, Occasion, State
from jobd.contract.watching import LogConfig, MetricsConfig

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
    """The table `[daemon]`; each key is named like its option.

    What stands below a key is what the manual says of it.
    """

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] = 3
    """Jobs at a time, 0 to 1000; `jobd start --workers N` wins, `jobctl workers N` changes it
    while jobd runs.
    """
    engine: EngineName = "local"
    """Where jobs run whose group does not say it; `jobd start --engine` wins."""
    shell: str = "/bin/sh"
    """Runs shell lines; `submit --shell` wins."""
    grace: Duration = Duration(DEFAULT_GRACE)
    """Time from TERM to KILL; `stop --grace` wins."""
    env_exclude: list[Annotated[str, Meta(min_length=1, max_length=255)]] = field(
        default_factory=list
    )
    """Patterns (`*_TOKEN`) of variables that are not stored, and that jobs do not receive."""
    max_output: Size = Size(0)
    """How much of an attempt's output is kept; 0: all of it. `submit --max-output` wins."""
    max_log: Size = Size(10_000_000)
    """Length of the daemon's log before a new one is begun; 0: no limit."""
    sync_output: SyncOutput = SyncOutput.SOON
    """When the output of a job that has ended is brought to the disk: within seconds (`"soon"`),
    before its end is told (`"before-end"`; each job then keeps its worker for that long), or
    whenever the system does it (`"never"`).
    """
    state_is_private: bool = False
    """True: no other host uses the state directory, although it is on a network file system."""


class GroupConfig(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A table `[groups.NAME]`: a named share of the workers."""

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] | None = None
    """How many its jobs may occupy at a time; without it as many as it had, or as there are."""
    engine: EngineName | None = None
    """Where its jobs run; without it where `[daemon] engine` says."""


class GpuConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[gpus]`."""

    devices: Annotated[list[Annotated[int, Meta(ge=0, le=1023)]], Meta(max_length=64)] = field(
        default_factory=list
    )
    """Indexes as CUDA numbers them, the preferred one first."""
    per_device: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    """Jobs on one GPU at a time."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table `[retention.STATE]`: what is kept of finished jobs; 0 is no limit.

    What is not given here is as `[retention]` has it.
    """

    max_age: Duration | None = None
    """Age since its end at which a finished job is deleted; 0: never."""
    max_jobs: Annotated[int, Meta(ge=0)] | None = None
    """Finished jobs that are kept; 0: all."""
    max_output: Size | None = None
    """Output that is kept, of all of them together; 0: all."""


class Retention(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[retention]`: limits of all finished jobs whose state has none of its own."""

    max_events: Annotated[int, Meta(ge=0)] | None = None
    """Events that are kept; 0: all. Without it 1,000,000, or 20 for each of `max_jobs` (10,000 at
    least) where that is less.
    """
    max_history: Annotated[int, Meta(ge=0)] = MAX_HISTORY
    """Finished attempts of removed jobs that `jobctl history` still counts; 0: all."""
    compress_after: Duration = Duration(0)
    """Time since the end of a job after which its output is compressed; 0: never."""
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


class NotifyConfig(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A table `[[notify]]`: who is told of what. Several values of one key are alternatives."""

    name: Annotated[str, Meta(max_length=64, pattern=r"\A[A-Za-z0-9_.-]*\Z")] = ""
    """What lists and `notify --test` call it; without it `notify` and its number."""
    on: Annotated[list[Occasion], Meta(min_length=1)] = field(default_factory=lambda: list(ENDS))
    """What is told: an end, `"lost"`, `"stuck"` (as `jobctl status` has it) or `"queue empty"`
    (nothing is pending or running).
    """
    states: list[State] = field(default_factory=list)
    """Only of jobs that have come to one of these states."""
    groups: list[Group] = field(default_factory=list)
    """Only of jobs in one of these groups."""
    tags: list[Tag] = field(default_factory=list)
    """Only of jobs with one of these tags."""
    min_runtime: Duration = Duration(0)
    """Only of attempts that ran for that long."""
    command: str | list[str] = ""
    """A shell line, or a list of words that are run as they are."""
    urls: list[str] = field(default_factory=list)
    """Where Apprise sends it."""
    timeout: Duration = Duration(30)
    """Time that one try may take."""
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 9
    """Further tries after one that failed."""
    retry_delay: Duration = Duration(10)
    """Time before the first of them; doubles each time."""

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


class ClientConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[client]`, which `jobctl` reads and no daemon."""

    owner: str = ""
    """Whose daemon `jobctl` speaks to through `JOBD_SOCKET`, beside yours and root's: a login;
    `jobctl --owner` wins. Empty: that of the owner of the socket's directory.
    """


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
    log: LogConfig = field(default_factory=LogConfig)
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
    "log": LogConfig,
    "metrics": MetricsConfig,
}
"""What may stand where, each table named as msgspec names it in its errors (but for a number)."""


def convert(tables: dict[str, Any]) -> Config:
    """From what a file says. Raises: msgspec.ValidationError."""
    _refuse_nul(tables, "$")
    config = msgspec.convert(tables, Config, dec_hook=_read)
    devices = config.gpus.devices
    if len(set(devices)) < len(devices):
        raise msgspec.ValidationError("a device is named twice - at `$.gpus.devices`")
    config.access.check()
    _check_notify(config.notify)
    config.metrics.check()
    owner = config.client.owner
    if owner and number_of(owner) is None:
        raise msgspec.ValidationError(f"there is no user {owner!r} - at `$.client.owner`")
    return config


def _refuse_nul(value: object, place: str) -> None:
    """No path, name or pattern can have one in it."""
    if isinstance(value, str) and "\0" in value:
        raise msgspec.ValidationError(f"there is a NUL in {value!r} - at `{place}`")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_nul(inner, f"{place}.{key}")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_nul(inner, f"{place}[{number}]")


def _check_notify(rules: list[NotifyConfig]) -> None:
    names = [rule.name for rule in rules if rule.name]
    for number, rule in enumerate(rules):
        place = f"at `$.notify[{number}]"
        try:
            rule.destinations()
        except ValueError as error:
            key, _, said = str(error).partition(": ")
            place += f".{key}" if said else ""
            raise msgspec.ValidationError(f"{said or key} - {place}`") from None
        if names.count(rule.name) > 1:
            raise msgspec.ValidationError(f"there are two of this name - {place}.name`")


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
