"""What the store gives and takes: rows as frozen records, free of SQL."""

from __future__ import annotations

import hashlib
import zlib
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from jobd.contract.destinations import Wish
from jobd.contract.models import DEFAULT_GROUP, DEFAULT_RETRY_DELAY, Command
from jobd.contract.states import State
from jobd.core.notification.message import Target
from jobd.core.ready_queue import Entry
from jobd.core.transitions import is_failing, is_met


class Spec(Struct, frozen=True, array_like=True, omit_defaults=True):
    """What was submitted and never changes; one blob a job."""

    argv: list[bytes]
    shell: bool
    cwd: bytes
    umask: int
    requeue: bool = False
    nice: int = 0
    interpreter: bytes = b""
    """Runs the shell line instead of the configured shell."""
    stdin: bytes = b""
    progress: str = "auto"
    max_output: int | None = None
    packed_script: bytes = b""
    """zlib of the program that runs in the place of what `argv[0]` names; empty: none."""
    variables: tuple[bytes, ...] = ()
    """Names of those in its environment that were set for it alone."""
    engine_options: tuple[str, ...] = ()

    @property
    def command(self) -> Command:
        return Command(argv=self.argv, shell=self.shell, script=self.script)

    @property
    def script(self) -> bytes:
        return zlib.decompress(self.packed_script) if self.packed_script else b""


class Policy(Struct, frozen=True, array_like=True, omit_defaults=True):
    """How long and how often it is tried; may be edited while it waits."""

    time_limit: float | None = None
    """Seconds of each attempt."""
    retries: int = 0
    retry_delay: float = DEFAULT_RETRY_DELAY
    retry_on: tuple[int, ...] = ()


class Terms(Struct, frozen=True, kw_only=True):
    """What the jobs of one submit share beside their commands."""

    user: str
    environment: int
    name: str = ""
    priority: int = 0
    group: str = DEFAULT_GROUP
    slots: int = 1
    gpus: int = 0
    tags: tuple[str, ...] = ()
    held: bool = False
    due: int | None = None
    """Not before this time, microseconds since the epoch."""
    due_fixed: bool = False
    """`due` was given as a time of the wall clock, and a jump of that clock moves it nearer."""
    policy: Policy = Policy()
    key: str | None = None
    notify: tuple[Wish, ...] = ()
    array_index: int | None = None
    """Of a job with a spec of its own; elements of an array are given theirs when written."""
    parents: int = 0
    """Jobs that each of them waits for."""
    unmet: int = 0
    failed: str | None = None
    """Why they fail at once: one of the parents has failed."""


class PackedEnvironment(Struct, frozen=True):
    """An environment as it is stored, without what never gets to the disk."""

    digest: bytes
    """Equal environments have equal ones."""
    content: bytes


class Parent(Struct, frozen=True):
    """A job that another one waits for."""

    id: int
    any_end: bool
    """Its end is enough, however it ends."""
    met: bool
    failed: bool = False
    """It has ended as it should not have: whoever waits for it fails."""

    @classmethod
    def seen(cls, job: int, state: State, *, any_end: bool) -> Parent:
        """As it is now."""
        met, failed = is_met(state, any_end=any_end), is_failing(state, any_end=any_end)
        return cls(job, any_end, met, failed)


class Filter(Struct, frozen=True, kw_only=True):
    """Which rows are meant; nothing set means all."""

    ranges: tuple[tuple[int, int], ...] = ()
    states: tuple[State, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    name: str = ""
    """A pattern of the shell, such as `train*` (glob(7))."""
    command: str = ""
    """The same, of what `command_of` gives."""
    users: tuple[str, ...] = ()
    since: int | None = None
    """Submitted then or later, microseconds since the epoch."""
    until: int | None = None
    """Submitted then or before, microseconds since the epoch."""
    ended_since: int | None = None
    """Finished then or later, microseconds since the epoch."""
    ended_before: int | None = None
    """Finished before then, microseconds since the epoch."""
    held: bool = False


class Gathering(Struct, frozen=True, kw_only=True):
    """Jobs of which somebody is told once all of them have ended: those of a submission, or, where
    groups or tags are named, all that are in these and had not ended before it.
    """

    first: int
    last: int
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: int
    """When it was submitted, microseconds since the epoch."""
    target: Target

    @property
    def by_name(self) -> bool:
        return bool(self.groups or self.tags)


class StopOrder(Struct, frozen=True, array_like=True):
    """An order to end a running job; on disk until the job has ended."""

    reason: str
    signal: int
    grace: float
    """Seconds between the signal and KILL."""
    at: int
    """When it was given, microseconds since boot."""

    @property
    def due(self) -> float:
        """When KILL is, microseconds since boot."""
        return self.at + self.grace * 1e6


class Location(NamedTuple):
    """Where an attempt runs."""

    engine: str
    """By its name."""
    host: str
    """The machine; "" as long as that is not known."""


class Ran(NamedTuple):
    """What an engine knows of the process of an attempt; None where it does not."""

    pid: int | None = None
    """Of a process of this machine."""
    host: str | None = None
    """Where it runs, if that was not known when it was started."""
    ended_at: int | None = None
    """When its leader ended, microseconds since the epoch; the daemon knows that by itself, too."""
    output_bytes: int = 0
    """What its output takes, known at its end."""
    engine_id: str | None = None
    """By which the tools of its engine know it."""


class Removed(NamedTuple):
    """A job that is removed, and whose output is still to be deleted."""

    job: int
    attempts: int
    engines: list[str]
    """Those that it ran on; empty: nobody knows."""


class Started(Struct, frozen=True):
    """An attempt that has just been written down as running."""

    entry: Entry
    attempt: int
    token: str
    spec: Spec
    environment: int
    at: int
    policy: Policy
    failures: int
    """Attempts that failed before it, since the submit or the last restart."""
    array_index: int | None
    engine: str
    queued_at: int = 0
    """Since when its job had pended, microseconds since the epoch."""

    @property
    def id(self) -> int:
        return self.entry.id


class Look(Struct, frozen=True):
    """What a decision about a job needs."""

    entry: Entry
    state: State
    reason: str | None
    attempt: int
    environment: int
    held: bool
    paused: bool
    parents: int
    unmet: int
    due: int | None
    failures: int

    @property
    def id(self) -> int:
        return self.entry.id

    def due_after(self, now: int) -> int | None:
        """Its time, if that is still to come."""
        return self.due if self.due is not None and self.due > now else None


class JobRow(Struct, frozen=True):
    """A job with its current attempt."""

    id: int
    state: State
    reason: str | None
    priority: int
    name: str
    user: str
    spec: Spec
    environment: int
    attempt: int
    stop: StopOrder | None
    progress: float | None
    progress_message: str | None
    submitted_at: int
    queued_at: int
    started_at: int | None
    finished_at: int | None
    token: str | None
    slot: int | None
    host: str | None
    exit_code: int | None
    signal: str | None
    pid: int | None
    cpu_us: int | None
    max_rss_kb: int | None
    group: str
    slots: int
    gpus: int
    tags: list[str]
    held: bool
    paused: bool
    parents: int
    unmet: int
    due: int | None
    policy: Policy
    failures: int
    key: str | None
    array_index: int | None
    given_gpus: str | None
    """Indexes of the devices that its attempt was given."""
    engine: str | None
    """That of its attempt; None: it pends."""
    notify: list[Wish]
    """What its submitter wants to be told."""
    engine_id: str | None
    """By which that knows it."""

    @property
    def entry(self) -> Entry:
        return Entry(self.id, self.priority, self.group, self.slots, self.gpus)


class AttemptRow(Struct, frozen=True):
    """An attempt of a job, ended or not. Times are microseconds since the epoch."""

    attempt: int
    state: State
    reason: str | None
    started_at: int
    finished_at: int | None
    exit_code: int | None
    signal: str | None
    pid: int | None
    cpu_us: int | None
    max_rss_kb: int | None
    engine: str
    engine_id: str | None


class EventRow(Struct, frozen=True):
    """An event as it is stored; `at` is microseconds since the epoch, `data` JSON."""

    seq: int
    at: int
    job: int | None
    event: str
    user: str
    data: bytes | None


spec_encoder: Final = msgspec.msgpack.Encoder()
spec_decoder: Final = msgspec.msgpack.Decoder(Spec)
policy_encoder: Final = msgspec.msgpack.Encoder()
policy_decoder: Final = msgspec.msgpack.Decoder(Policy)
gathering_encoder: Final = msgspec.msgpack.Encoder()
gathering_decoder: Final = msgspec.msgpack.Decoder(Gathering)
wishes_encoder: Final = msgspec.msgpack.Encoder()
wishes_decoder: Final = msgspec.msgpack.Decoder(list[Wish])
stop_decoder: Final = msgspec.msgpack.Decoder(StopOrder)
_environment_decoder: Final = msgspec.msgpack.Decoder(dict[bytes, bytes])


def pack_environment(environment: dict[bytes, bytes]) -> PackedEnvironment:
    raw = msgspec.msgpack.encode(dict(sorted(environment.items())))
    return PackedEnvironment(hashlib.sha256(raw).digest(), zlib.compress(raw, 6))


def unpack_environment(content: bytes) -> dict[bytes, bytes]:
    return _environment_decoder.decode(zlib.decompress(content))
