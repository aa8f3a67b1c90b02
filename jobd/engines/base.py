"""What an engine is: it turns a launch into a process that can be waited for and ended.

An engine is found by its name among the entry points `jobd.engines` (`jobd.engines.loading`): a
callable that takes a `Context` and gives an `Engine`. Nothing here says where processes are: they
may be children of this machine (`jobd.engines.local`), jobs of a cluster, or nothing but memory
(`jobd.engines.fake`). What every engine must do, `tests/engines/` asks of each of them.

No method is called under a lock of the daemon or in the thread of its writer, but for those that
must answer at once, as is said of each of them; so all others may take their time. An engine that
cannot be reached says so (`Away`): nothing fails of that, its jobs wait with that reason, and it is
asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, NewType, Protocol, runtime_checkable

from msgspec import Struct, field

from jobd.contract.models import Gpu
from jobd.contract.paths import Paths
from jobd.contract.wording import closest
from jobd.core.transitions import Outcome
from jobd.core.usage import Usage
from jobd.engines.supervisor import Supervisor
from jobd.outputs.on_disk import DiskWorkspace
from jobd.outputs.workspace import Workspace


class CannotStart(Exception):  # noqa: N818 - named like the reason
    """The command cannot be started; the text says why."""


class NoResources(Exception):  # noqa: N818 - named like the reason
    """There is no room for another process just now; nothing has started."""


class NeverBegan(NoResources):
    """What was taken for started has not begun, and surely never will; the text says why."""


class Away(Exception):  # noqa: N818 - named like the reason
    """The engine cannot be reached just now, and nothing has happened; the text says why."""


class BadSetting(Exception):  # noqa: N818 - named like the reason
    """A key of `[engine.NAME]` that is unknown or has no sense."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(f"{key}: {what}" if key else what)
        self.key = key
        self.what = what


class NoSuchKey(BadSetting):
    """A key of `[engine.NAME]` that is unknown."""

    def __init__(self, key: str, keys: Collection[str]) -> None:
        """`keys`: those that there are."""
        meant = closest(key, keys)
        known = f"known are: {', '.join(sorted(keys))}" if keys else "it takes none"
        super().__init__(key, f"did you mean: {meant}" if meant else known)

    def __str__(self) -> str:
        return f"has no key {self.key}; {self.what}"


class Heritage(Struct, frozen=True):
    """What an engine leaves to the one that comes after it when this process is replaced by exec.

    Only then is it asked for: what must outlive a `kill -9`, an engine keeps on disk.
    """

    descriptors: Mapping[str, int] = field(default_factory=dict)
    """Files that stay open, by a name of the engine's own."""
    data: bytes = b""
    """Whatever else; nobody looks into it."""


class Sight(NamedTuple):
    """Something that `jobd check` has seen of an engine, in words."""

    text: str
    next_step: str = ""
    """What to do about it; empty: it is as it should be."""


class Factory(Protocol):
    """What an entry point leads to: mostly the class of an engine."""

    def __call__(self, context: Context) -> Engine:
        """Quick, and not reaching out for anything far away: `recover` does that.

        Raises: BadSetting, OSError.
        """

    def check(self, settings: Mapping[str, Any]) -> None:
        """Its section `[engine.NAME]` as TOML has it, without doing anything.

        Raises: BadSetting.
        """


@runtime_checkable
class Sighted(Protocol):
    """A factory that has something to say to `jobd check`, beside what `Factory.check` says."""

    def look(self, settings: Mapping[str, Any], paths: Paths) -> Sequence[Sight]:
        """Whether jobs could run there now, beside a daemon or without one, changing nothing.

        `settings`: as for `check`, which has passed them. It may take as long as it takes to find
        that nobody answers.
        """


@runtime_checkable
class ShowsOutputs(Protocol):
    """A factory that says where its engines leave output as files: there `jobd check` looks for it,
    also while no daemon runs. Of one that does not say it is not known.
    """

    def outputs(self, settings: Mapping[str, Any] | None, paths: Paths) -> Path | None:
        """A directory laid out as one of ours (`jobd.contract.paths.output_name`); None: it is not
        known. Only looks.

        `settings`: as for `check`; None: nobody knows them just now. Raises: BadSetting, OSError.
        """


@runtime_checkable
class SeesBoots(Protocol):
    """A factory whose engines leave something from which a boot of this machine can be told."""

    def ran_since_boot(self, paths: Paths) -> bool | None:
        """Whether the machine has run on since one was last at work in this instance; None: none
        ever was. Only looks.
        """


@runtime_checkable
class SeesGpus(Protocol):
    """An engine that can tell what the GPUs of this machine are doing."""

    def gpus(self) -> Sequence[Gpu] | None:
        """As for `Engine.usage`: only while somebody wants to see it. None: there are none, or
        nobody can tell.
        """

    def look_no_more(self) -> None:
        """Leave no process and no thread behind that looks at them, and start none: this process
        is about to end. A driver that hangs is not waited for.
        """


@runtime_checkable
class HoldsFiles(Protocol):
    """An engine that holds open more than a few files for each attempt that starts."""

    @property
    def descriptors(self) -> int:
        """So many at a time, at most, in this process: clients leave them to it. Always the same;
        at once.
        """


class Context(Struct, frozen=True, kw_only=True):
    """All that an engine is told when it is loaded."""

    name: str
    """By which it was found."""
    paths: Paths
    """Of this instance, and its user's alone. What an engine keeps lies in `data`, in files whose
    names begin with its own.
    """
    workspace: DiskWorkspace
    """The daemon's own, on this disk; an engine whose jobs do not reach it has another one."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Its section `[engine.NAME]` as TOML has it, checked by nobody yet."""
    link: Supervisor | None = None
    """For an engine whose attempts are processes of this machine. None: there is none (a daemon
    inside a test).
    """
    heritage: Heritage = Heritage()
    """What the one before has left, and whose descriptors are this one's now."""
    back: Callable[[], object] = lambda: None
    """To be called, from any thread, when the engine was away and is there again."""


class Launch(Struct, frozen=True):
    """All that is needed to start one attempt; its output goes where the workspace says."""

    job: int
    attempt: int
    slot: int
    token: str
    """JOBD_RUN in its environment; no other attempt ever has it."""
    argv: list[bytes]
    cwd: bytes
    umask: int
    environment: dict[bytes, bytes]
    nice: int = 0
    stdin: bytes = b""
    """A file to read from; empty: nothing."""
    script: bytes | None = None
    """A program that runs in the place of what `argv[0]` names, and lies in the workspace for as
    long as its attempt lasts.
    """
    group: str = ""
    slots: int = 1
    """Workers that it occupies: where an engine shares out CPUs, so many."""
    gpus: int = 0
    """Devices that it needs; which of this machine's they are, its environment says."""
    options: Sequence[str] = ()
    """Of the engine's own, as `--mem=8G`: `Engine.check_options` says whether it takes them."""
    time_limit: float | None = None
    """Seconds after which the daemon has it ended: for an engine that plans ahead."""


class Attempt(NamedTuple):
    """An attempt that is on disk as running."""

    token: str
    job: int
    attempt: int
    slot: int


Refusal = NewType("Refusal", str)
"""What of a job may not be signalled, in words of the engine; it completes `cannot be paused: `. A
process of this machine is named as in `jobd.contract.states.cannot_be_ended`, which knows how it is
ended then.
"""


class Process(Protocol):
    """One started attempt. `wait`, `end` and `reap` belong to one thread; the rest to any."""

    @property
    def pid(self) -> int | None:
        """Its leader's; None: it is no process of this machine. Answers at once."""

    @property
    def host(self) -> str | None:
        """Where it runs; None: where the engine's `host` says, or not known yet. At once."""

    @property
    def engine_id(self) -> str | None:
        """By which the tools of its engine know it; None: there are none. At once."""

    @property
    def refusals(self) -> Sequence[Refusal]:
        """What of it may not be signalled, as the latest signal has shown. At once."""

    def age(self) -> float:
        """Seconds since it began, whatever clocks did meanwhile; 0.0 before that. At once."""

    def wait(self) -> Outcome:
        """Block until its leader has ended, also while the engine is away.

        Whatever daemon asks is told the same, until `reap`. An engine that knows when it ended
        says that, too (`Outcome.at`): it may have been while no daemon lived.

        Raises: NeverBegan (nothing is left of it, and `reap` is not called).
        """

    def reap(self) -> None:
        """The outcome is on disk: it will not be asked for again.

        Not called where the daemon is killed just then.
        """

    def end(self, deadline: float) -> None:
        """After the leader's end: wait for what is left of it, from `deadline` on with KILL.

        `deadline` is a time of `time.monotonic()`. Comes back as well where nothing but what may
        not be signalled is left of it for a second: `refusals` says so, and it is called again.
        """


class Fate(Enum):
    """What became of an attempt whose process is not there."""

    NEVER_STARTED = "it was on disk, and its process never came to be"
    LOST = "its outcome cannot be known"


class Engine(Protocol):
    """Where jobs run. Any thread may call.

    Promises that an attempt starts at most once, and that what it leaves can be found again.
    """

    @property
    def lets_go_at_once(self) -> bool:
        """Whether `Process.reap` and `Workspace.tidy` take no longer than a few system calls.

        Then the thread that records ends calls them itself; else a thread of the engine's own does.
        """

    @property
    def workspace(self) -> Workspace:
        """Where its attempts leave what they leave; always the same."""

    @property
    def host(self) -> str:
        """The name of the machine where its jobs run; "" where only a process can say."""

    @property
    def capacity(self) -> int | None:
        """Attempts that may be with it at a time; None: as many as there are workers. At once."""

    def check_options(self, options: Sequence[str]) -> None:
        """Whether a job may ask for these (`Launch.options`); asked before it is accepted, and by
        `start` again: meanwhile it may have been configured anew. At once, also while it is away.

        Raises: CannotStart (names the option, and what is wrong with it).
        """

    def recover(self, attempts: Sequence[Attempt]) -> dict[str, Process | Fate]:
        """Find what earlier daemons started: all attempts that are said to run, by their token.

        Before any start, also where there are none; once, or until it is not away. Of what it does
        not name the outcome is lost. Raises: Away, rather than to wait for long.
        """

    def start(self, launch: Launch) -> Process:
        """Start an attempt, at most once. Raises: CannotStart, NoResources, Away."""

    def signal(self, orders: Sequence[tuple[Process, int]]) -> None:
        """To every process of each job; STOP and CONT let it stand still and go on, and 0 only
        shows which of them may be signalled (`Process.refusals`), as with kill(2).

        Together, with one look at the machine for all. Raises: OSError, Away (tried again).
        """

    def usage(self, processes: Sequence[Process]) -> Sequence[Usage]:
        """What each of them has used up to now, also where it has just ended.

        Together, with one look at the machine for all; asked only while somebody wants to see it.
        Raises: OSError, Away.
        """

    def freeze(self) -> None:
        """Start nothing from now on: this process is about to be replaced. At once."""

    def heritage(self) -> Heritage:
        """What the next one needs, after `freeze`. At once."""

    def close(self) -> None:
        """Give back all descriptors and threads; jobs run on. Nothing starts afterwards."""
