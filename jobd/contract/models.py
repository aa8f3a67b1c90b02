"""What travels between client and daemon: requests, replies, and the job as others see it.

Every type is a frozen record. Key names of `Job`, `Event` and `DaemonStatus` are the public
JSON (they are only ever added). Arguments, directories and environments are bytes, as on Linux.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from jobd.contract.destinations import MAX_URL, MAX_WISHES, WhenAll, Wish
from jobd.contract.states import FINISHED, DeliveryState, FromWhen, Resource, Source, State

MAX_NAME: Final = 255
"""Characters in a job's name."""
MAX_PRIORITY: Final = 1_000_000_000
MAX_ID: Final = 2**63 - 1
MAX_WORKERS: Final = 1000
PRIORITIES: Final = {"high": 100, "regular": 0, "normal": 0, "low": -100}
"""The named priorities; `normal` is an alias of `regular`."""
DEFAULT_GROUP: Final = "default"
DEFAULT_GRACE: Final = 10.0
"""Seconds between the first signal and KILL."""
DEFAULT_RETRY_DELAY: Final = 1.0
"""Seconds before the first retry."""
MAX_RETRIES: Final = 10_000
MAX_TIME: Final = 253_402_300_799.0
"""The end of the year 9999, in seconds since the epoch."""
MAX_BYTES: Final = 2**62
"""More than a file can have."""
MAX_SCRIPT: Final = 1024 * 1024
"""Bytes of a script that is kept with its job."""
MAX_ARRAY: Final = 1_000_000
"""Elements of one array."""
MAX_NODES: Final = 100_000
"""Jobs of one graph."""
MAX_PARENTS: Final = 10_000
"""Jobs that one job waits for."""
MAX_COMMANDS: Final = 1_000_000
"""Commands of one request."""
BUNDLE: Final = 1000
"""Commands of a bundle."""
MAX_RANGES: Final = 1_000_000
"""Ranges of jobs in one request; a single job is one."""
MAX_PAGE_IDS: Final = 50_000
"""Jobs of one page that only has their ids."""
MAX_VALUES: Final = 1000
"""Values of one filter, and tags."""
MAX_WORDS: Final = 1_000_000
"""Words of one command; of so many Linux has no room for the pointers (execve(2))."""
MAX_ARGUMENT: Final = 131_071
"""Bytes of one argument or variable, MAX_ARG_STRLEN of execve(2) without its NUL."""
TOO_LONG: Final = (
    f"longer than {MAX_ARGUMENT:,} bytes, the most that Linux passes to a program; "
    "put it into a file"
)
"""What is wrong with an argument that has more."""
MAX_VARIABLES: Final = 100_000
"""Variables of one environment."""
LAST_ARRAY: Final = -(MAX_PAGE_IDS + 1)
"""In the place of an id, before a request is made: all elements of the array submitted last; and
-1, -2, … down to there are the jobs that were submitted last.
"""
_WHOLE_S: Final = 600.0
"""Seconds; that a million jobs would be changed is told in a quarter of that."""
_MAX_CURSOR: Final = 200
"""Characters; a few numbers stand in it."""
_MAX_ACTED: Final = 10_000_000
"""Jobs that one answer is about."""
_MAX_SHARED: Final = 1000
"""Events of one answer that is kept for others."""
_MAX_SHOWN: Final = 100_000
"""Jobs, events or groups that one answer describes."""


JobId = Annotated[int, Meta(ge=1, le=MAX_ID)]
Name = Annotated[str, Meta(max_length=MAX_NAME)]
Group = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
]
Tag = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\s,\x00-\x1f\x7f]+\Z")]
EngineOption = Annotated[
    str, Meta(max_length=1000, pattern=r"\A--[a-z0-9][a-z0-9-]*(=[^\x00-\x1f\x7f]*)?\Z")
]
"""An option of the engine's own, in one word."""
User = Annotated[str, Meta(min_length=1, max_length=256)]
ExitCode = Annotated[int, Meta(ge=1, le=255)]
Ranges = Annotated[list[tuple[JobId, JobId]], Meta(max_length=MAX_RANGES)]
"""Of ids, both ends included."""
Parents = Annotated[list[tuple[JobId, JobId]], Meta(max_length=MAX_NODES)]
"""The same; that they are at most `MAX_PARENTS` jobs is seen where they are looked up."""
Environment = Annotated[dict[bytes, bytes], Meta(max_length=MAX_VARIABLES)]
Others = Annotated[list[int], Meta(max_length=_MAX_ACTED)]
"""Other jobs."""
Counts = Annotated[dict[State, int], Meta(max_length=len(State))]
Words = Annotated[list[str], Meta(max_length=MAX_WORDS)]
Wishes = Annotated[list[Wish], Meta(max_length=MAX_WISHES)]
WhenAllOf = Annotated[list[WhenAll], Meta(max_length=MAX_WISHES)]
NodeIndex = Annotated[int, Meta(ge=0, lt=MAX_NODES)]
ArrayIndex = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86400)]
Priority = Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)]


Moment = Annotated[datetime, Meta(tz=True)]
"""A point of time, whatever zone it is told in."""


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what a client sends: an unknown key is an error, not a silent nothing.

    What is as ever is left out: an older daemon refuses only what it cannot do.
    """


class View(Struct, frozen=True, kw_only=True):
    """Base of what the daemon answers: an older client overlooks keys that came later."""

    @property
    def is_last(self) -> bool:
        """Whether whoever waits has heard the end with it, and need not ask again."""
        return True

    @property
    def is_for_many(self) -> bool:
        """Whether the very same answer may be given to others, who ask at the same time."""
        return False


class About(Struct, frozen=True, kw_only=True):
    """What a request says of itself to all through whose hands it goes, client and daemon."""

    reply: type[View]
    changes: bool
    """It may change what is on disk. So it carries an id, and asking again after a lost reply does
    nothing twice.
    """
    viewer: bool
    """A viewer may ask it, where it only looks."""
    patience: float = 60.0
    """Seconds of silence after which the daemon counts as hung, on top of those for which the
    request itself lets it wait.
    """
    asks_on: float = 1.0
    """Seconds for which whoever has waited, and has heard the end by this, may still ask what
    belongs to it, before the daemon leaves.
    """
    waits: bool = False
    """It is answered when something has happened, and outlasts any number of daemons."""
    makes_room: bool = False
    """It is saved on a full disk, too: after it there is more space, or no more is used."""
    ends: bool = False
    """It ends the daemon: that this is gone afterwards is no reason to ask again."""


class Request(Record, frozen=True, kw_only=True):
    """Base of what the daemon is asked. Its name on the wire is that of its type, in lower case."""

    about: ClassVar[About]

    @classmethod
    def wire_name(cls) -> str:
        return cls.__name__.lower()

    @property
    def only_looks(self) -> bool:
        """Whether this one, with what stands in it, leaves everything as it was."""
        only_asks: bool = getattr(self, "dry_run", False)
        return only_asks or not (self.about.changes or self.about.ends)

    @property
    def patience(self) -> float:
        """As `About` has it; longer where a change that would come in parts is told as a whole."""
        return _WHOLE_S if getattr(self, "dry_run", False) else self.about.patience

    @property
    def confidential(self) -> str:
        """What the request asks for that no viewer may see, in words; empty: nothing."""
        return ""


# --- the job as others see it -------------------------------------------------------------


class Job(View, frozen=True, kw_only=True):
    """A job in JSON; what stands below a key is what the manual says of it."""

    id: int
    """It only grows, and is never used again."""
    name: str
    """As `--name` gave it; it may be empty."""
    command: str
    """As a person would type it."""
    argv: Words
    """What is executed, word by word."""
    shell: bool
    """It is a line for a shell."""
    cwd: str
    """The directory that it runs in."""
    state: State
    """Where it stands."""
    reason: str | None = None
    """Why it is not running yet, or why it ended so; null: running, or completed."""
    paused: bool = False
    """It runs, and is halted."""
    priority: int = 0
    """Higher ones start first; `high` is 100, `low` -100."""
    group: str = DEFAULT_GROUP
    """The group whose workers it takes."""
    tags: Annotated[list[str], Meta(max_length=_MAX_SHOWN)] = field(default_factory=list)
    """Words to select it by."""
    user: str = ""
    """The login of who submitted it."""
    progress: float | None = None
    """0 to 100; null: unknown."""
    progress_message: str | None = None
    """What it said beside that."""
    eta_s: float | None = None
    """Seconds that it will still take, by its progress; null: unknown."""
    attempt: int = 0
    """The latest attempt; 0: none yet."""
    exit_code: int | None = None
    """Of the latest attempt; null: it has none, as when a signal killed it."""
    signal: str | None = None
    """The signal that killed it, without SIG."""
    pid: int | None = None
    """Its first process, while it runs."""
    host: str = ""
    """Where it runs, or ran."""
    submitted_at: Moment
    """When it was submitted."""
    started_at: Moment | None = None
    """When the latest attempt started."""
    finished_at: Moment | None = None
    """When it ended, not when that was saved."""
    wait_s: float | None = None
    """Seconds from submit to start."""
    run_s: float | None = None
    """Seconds that the latest attempt ran, or has run so far."""
    cpu_s: float | None = None
    """Seconds of CPU of all its processes; while it runs up to now, where that was asked for."""
    max_rss_kb: int | None = None
    """The most memory that one of its processes has had; while it runs up to now, as `cpu_s`. null:
    nobody knows, or the kernel cannot tell it from the daemon's own.
    """
    after: Others = field(default_factory=list)
    """Jobs that have to complete first."""
    after_any: Others = field(default_factory=list)
    """Jobs that have to end first."""
    time_limit_s: float | None = None
    """Seconds that each attempt may take."""
    retries: int = 0
    """How often it is tried again after a failure."""
    slots: int = 1
    """Workers that it takes."""
    gpus: int = 0
    """GPUs that it takes."""
    array_index: int | None = None
    """Its index, if it is an element of an array."""
    key: str | None = None
    """As `--key` gave it."""
    output_path: str | None = None
    """Where the output of the latest attempt is."""
    waits_for: Others = field(default_factory=list)
    """Those of `after` and `after_any` that it still waits for."""
    not_before: Moment | None = None
    """A pending job does not start before then: it was asked for, or is that of a retry."""
    failures: int = 0
    """Attempts that have failed since it was submitted or restarted; `retries` allows so many."""
    argv_b64: Words | None = None
    """Only where `argv` is not UTF-8: each argument exactly, in base64."""
    engine: str | None = None
    """Where its attempt runs, or ran; null: it is pending."""
    engine_id: str | None = None
    """By which the tools of that engine know it, as the number of a job of Slurm."""
    rss_kb: int | None = None
    """Memory of all its processes now, while it runs, where that was asked for."""
    gpu_memory_kb: int | None = None
    """The same of the memory of GPUs; null also where it has none."""


class Attempt(View, frozen=True, kw_only=True):
    """One start of a job and what came of it; `finished_at` is None while it runs."""

    attempt: int
    """Its number; 1 is the first."""
    started_at: Moment
    """When it started."""
    finished_at: Moment | None = None
    """When it ended; null: it runs."""
    state: State
    """`running`, or how it ended."""
    reason: str | None = None
    """Why it ended so."""
    exit_code: int | None = None
    """Null: it has none."""
    signal: str | None = None
    """The signal that killed it, without SIG."""
    pid: int | None = None
    """Its first process."""
    cpu_s: float | None = None
    """Seconds of CPU."""
    max_rss_kb: int | None = None
    """Peak memory; null: it cannot be told from the daemon's own."""
    output_path: str
    """Where its output is, or was."""
    engine: str = "local"
    """Where it runs, or ran."""
    engine_id: str | None = None
    """By which the tools of that engine know it."""
    output_bytes: int | None = None
    """What is kept of what it printed; null: nobody here knows."""
    stored_bytes: int | None = None
    """What that takes on the disk: less once it is compressed."""


class Event(View, frozen=True, kw_only=True):
    """One line of the history; `job` is None for those of the daemon itself."""

    seq: int
    """Grows by one with each event."""
    at: Moment
    """When it happened."""
    job: int | None
    """Null: an event of the daemon."""
    event: str
    """What happened."""
    user: str
    """Who did it."""
    data: Annotated[dict[str, str | int | float | bool | None], Meta(max_length=MAX_VALUES)] = (
        field(default_factory=dict)
    )
    """What belongs to it, such as `{"attempt": 1}`."""


class Gpu(View, frozen=True, kw_only=True):
    """A GPU of the daemon's machine, as the driver sees it just now, whoever uses it."""

    index: int
    """As nvidia-smi numbers them: CUDA may have another order."""
    load: int | None = None
    """Percent of the time in which it was at work; null: the driver does not say."""
    memory_kb: int | None = None
    """Its memory that is in use; null: as above."""
    total_kb: int | None = None
    """All of its memory."""


class DaemonStatus(View, frozen=True, kw_only=True):
    """The answer to `status`: the daemon itself, and what is wrong with it."""

    running: bool = True
    """Whether a daemon answers; without one all else is as it would be."""
    pid: int | None = None
    """The daemon."""
    supervisor_pid: int | None = None
    """The process that watches over it, to which signals go."""
    version: str = ""
    """Of the daemon."""
    uptime_s: float = 0.0
    """Seconds since its start."""
    engine: str = "local"
    """Where jobs run whose group does not say it."""
    workers: int = 0
    """How many jobs run at a time."""
    busy: int = 0
    """Workers that have a job."""
    draining: bool = False
    """It shuts down: nothing starts any more."""
    ephemeral: bool = False
    """The queue is in memory alone."""
    jobs: Counts = field(default_factory=dict)
    """How many there are in each state."""
    socket: str = ""
    """Where it listens."""
    database: str = ""
    """Where queue and history are."""
    log: str = ""
    """Where its log is."""
    state_dir: str = ""
    """Where all of it is."""
    database_bytes: int = 0
    """Length of the database."""
    output_bytes: int | None = None
    """Length of all output; null: it was not looked at."""
    gpus: int = 0
    """GPUs that jobs may have."""
    gpus_busy: int = 0
    """Those of them that running jobs have."""
    gpu_load: Annotated[list[Gpu], Meta(max_length=MAX_VALUES)] | None = None
    """What each GPU of the machine is doing; null: it has none, nobody can tell, or it was not
    looked at.
    """
    access_socket: str | None = None
    """Where others come in, if anybody may."""
    error: str | None = None
    """What keeps the daemon from starting jobs just now (a full disk), or null."""
    notifications_failing: int = 0
    """Messages that were tried in vain, and will be again or were given up within a day."""
    notifications_error: str | None = None
    """Why the last of them was not delivered."""


# --- requests -----------------------------------------------------------------------------


class Selector(Record, frozen=True, kw_only=True):
    """Which jobs are meant: ids and ranges (inclusive), narrowed by filters.

    With neither ids nor `all` nor a filter it means nothing, and a changing request refuses it.
    Values of one filter are alternatives; different filters all have to hold.
    """

    ids: Ranges = field(default_factory=list)
    """Inclusive ranges; a single id is (7, 7) and an error where it does not exist."""
    states: Annotated[list[State], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    groups: Annotated[list[Group], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    tags: Annotated[list[Tag], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    name: Name = ""
    """A pattern with `*`, `?` and `[…]`, as a shell has them."""
    command: Name = ""
    """The same, of the command as `Job.command` has it; of a script without its directory."""
    users: Annotated[list[User], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    """Logins of who submitted them."""
    since: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    """Submitted at this time or later, in seconds since the epoch."""
    until: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    """Submitted at this time or before, in seconds since the epoch."""
    ended_since: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    """Finished, and at this time or later, in seconds since the epoch."""
    ended_before: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    """Finished, and before this time, in seconds since the epoch."""
    held: bool = False
    """Only those that `Hold` keeps from starting."""
    all: bool = False

    @property
    def filtered(self) -> bool:
        times = (self.since, self.until, self.ended_since, self.ended_before)
        lists = (self.states, self.groups, self.tags, self.users)
        words = (*lists, self.name, self.command, self.held)
        return any(words) or any(time is not None for time in times)

    @property
    def named(self) -> bool:
        """Whether anything was written that limits the choice, or `--all` itself."""
        return bool(self.ids or self.filtered or self.all)


class Command(Record, frozen=True, kw_only=True):
    """An argv that is run exactly as given, or (`shell`) one line for `sh -c`."""

    argv: Annotated[list[bytes], Meta(min_length=1, max_length=MAX_WORDS)]
    shell: bool = False
    script: Annotated[bytes, Meta(max_length=MAX_SCRIPT)] = b""
    """The content of a program: a copy of it runs in the place of what `argv[0]` names."""


class Bundle(Record, frozen=True, kw_only=True):
    """Commands of one request that are read together; a million at once would hold up everybody."""

    commands: Annotated[list[Command], Meta(min_length=1, max_length=BUNDLE)]


class Options(Record, frozen=True, kw_only=True):
    """What is asked of a job beside its command: the long options of `submit`."""

    name: Name = ""
    tags: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)
    priority: Priority = 0
    group: Group = DEFAULT_GROUP
    slots: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    gpus: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] = 0
    hold: bool = False
    after: Parents = field(default_factory=list)
    """Ranges of jobs that must have completed."""
    after_any: Parents = field(default_factory=list)
    """Ranges of jobs that must have finished, however."""
    delay: Seconds | None = None
    at: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    """Not before this time, in seconds since the epoch."""
    time_limit: Annotated[float, Meta(gt=0, le=10 * 365 * 86400)] | None = None
    """Seconds that each attempt may take."""
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 0
    retry_delay: Seconds = DEFAULT_RETRY_DELAY
    """Seconds before the first retry; doubles each time."""
    retry_on: Annotated[list[ExitCode], Meta(max_length=255)] = field(default_factory=list)
    """Only these exit codes are tried again, as `wait` gives them (137 for one killed by KILL);
    empty: every failure whose outcome is known.
    """
    requeue: bool = False
    key: Annotated[str, Meta(max_length=MAX_NAME)] | None = None
    nice: Annotated[int, Meta(ge=-20, le=19)] = 0
    shell: bytes = b""
    """Runs the shell line instead of the configured one."""
    stdin: bytes = b""
    """A file, its path absolute; empty: /dev/null."""
    progress: Annotated[str, Meta(max_length=1000)] = "auto"
    """`auto`, `none`, or a regular expression that finds the percentage in the output."""
    max_output: Annotated[int, Meta(ge=0, le=MAX_BYTES)] | None = None
    """Bytes of output that are kept of each attempt."""
    notify: Wishes = field(default_factory=list)
    """Who is told of its ends."""
    engine_options: Annotated[list[EngineOption], Meta(max_length=100)] = field(
        default_factory=list
    )
    """For the engine that it runs on, which says whether it takes them."""
    env: Annotated[list[bytes], Meta(max_length=MAX_VARIABLES)] = field(default_factory=list)
    """Names of those in its environment that were set for it, and not by the shell."""


class Submitted(View, frozen=True, kw_only=True):
    """First and last id of what was submitted (they are consecutive), and the first jobs."""

    first: int
    last: int
    starts_now: bool = False
    busy: int = 0
    """Workers that are busy once these have started as far as they can."""
    workers: int = 0
    existing: bool = False
    """Nothing was submitted: a job with the same key and command is there already."""


class Submit(Request, frozen=True, kw_only=True):
    """Put commands into the queue, all or none."""

    about = About(reply=Submitted, changes=True, viewer=False, patience=300.0)

    commands: Annotated[list[Command], Meta(max_length=MAX_COMMANDS)] = field(default_factory=list)
    bundles: Annotated[list[bytes], Meta(max_length=MAX_COMMANDS // BUNDLE)] = field(
        default_factory=list
    )
    """More commands than are read at once, in the place of `commands`: each an encoded `Bundle`,
    and all but the last one full. `wire.bundled` makes them.
    """
    options: Options = field(default_factory=Options)
    cwd: bytes
    umask: Annotated[int, Meta(ge=0, le=0o777)] = 0o022
    environment: Environment = field(default_factory=dict)
    array: Annotated[list[tuple[ArrayIndex, ArrayIndex]], Meta(max_length=MAX_ARRAY)] = field(
        default_factory=list
    )
    """Inclusive ranges of indexes; the one command is then run once for each of them."""
    when_all: WhenAllOf = field(default_factory=list)


class Node(Record, frozen=True, kw_only=True):
    """One job of a graph. `parents`, `parents_any`: places of other nodes, counted from 0."""

    command: Command
    options: Options = field(default_factory=Options)
    cwd: bytes
    variables: Environment = field(default_factory=dict)
    """Set in addition to the environment of the graph."""
    parents: Annotated[list[NodeIndex], Meta(max_length=MAX_NODES)] = field(default_factory=list)
    """Must have completed."""
    parents_any: Annotated[list[NodeIndex], Meta(max_length=MAX_NODES)] = field(
        default_factory=list
    )
    """Must have finished, however."""
    array_index: ArrayIndex | None = None
    """Its `$JOBD_ARRAY_INDEX`, where it is one of several that are alike but for that."""


class Graph(Request, frozen=True, kw_only=True):
    """Put jobs that wait for each other into the queue, all or none.

    Ids are consecutive, in the order of the nodes.
    """

    about = About(reply=Submitted, changes=True, viewer=False, patience=300.0)

    nodes: Annotated[list[Node], Meta(min_length=1, max_length=MAX_NODES)]
    umask: Annotated[int, Meta(ge=0, le=0o777)] = 0o022
    environment: Environment = field(default_factory=dict)
    when_all: WhenAllOf = field(default_factory=list)


class Lack(View, frozen=True, kw_only=True):
    """A job needs more of something than there is: as things are it can never start."""

    what: Resource
    needs: int
    have: int


class Array(View, frozen=True, kw_only=True):
    """An array, or a batch, as one thing: its ids, its indexes, and how its elements are."""

    first: int
    last: int
    first_index: int | None = None
    last_index: int | None = None
    """None: they have none, it is a batch."""
    counts: Counts = field(default_factory=dict)
    eta_s: float | None = None
    """Seconds until the last one has finished, if they go on as until now."""


class Page(View, frozen=True, kw_only=True):
    """The answer to `list`: some jobs, and where to go on."""

    jobs: Annotated[list[Job], Meta(max_length=_MAX_SHOWN)]
    next: str | None = None
    """The cursor of the next page; None at the end."""
    counts: Counts = field(default_factory=dict)
    """How many jobs there are in each state, in all, whatever was selected."""
    busy: int | None = None
    """Workers that are occupied: a job may occupy several."""
    missing: Annotated[list[int], Meta(max_length=MAX_RANGES)] = field(default_factory=list)
    """Single ids that were asked for and do not exist."""
    seq: int | None = None
    """What has happened up to this event is in it. None: the daemon does not say."""
    moves: int | None = None
    """Another number than on the page before: waiting jobs have changed places without an event."""
    lacks: Annotated[
        dict[int, Annotated[list[Lack], Meta(max_length=len(Resource))]],
        Meta(max_length=_MAX_SHOWN),
    ] = field(default_factory=dict)
    """Of the jobs that wait for their turn, those that can never start as things are, and why."""
    ids: Annotated[list[tuple[JobId, JobId]], Meta(max_length=_MAX_SHOWN)] = field(
        default_factory=list
    )
    """In the place of `jobs`, where that was asked for: runs of ids in the order of the list, those
    of which the second is the lower one downwards. They are `MAX_PAGE_IDS` jobs at most.
    """
    arrays: Annotated[dict[int, Array], Meta(max_length=_MAX_SHOWN)] = field(default_factory=dict)
    """Those for which a job of the page stands, by its id, where that was asked for."""


class List(Request, frozen=True, kw_only=True):
    """A page of jobs: running, then pending in starting order, then finished, newest first.

    Each limit is a number of jobs of that section, None for all.
    `cursor` is the `next` of the page before. `only_ids`: without anything else about the jobs.
    """

    about = About(reply=Page, changes=False, viewer=True)

    selector: Selector = field(default_factory=Selector)
    running: int | None = None
    pending: int | None = None
    finished: int | None = None
    limit: int | None = None
    cursor: Annotated[str, Meta(max_length=_MAX_CURSOR)] | None = None
    only_ids: bool = False
    collapsed: bool = False
    """Of each array the one element that comes first stands for all; then there is one page."""
    usage: bool = False
    """Also what those that run use: they are looked at."""
    newest: Annotated[int, Meta(ge=1, le=MAX_PAGE_IDS)] | None = None
    """In the place of all else: the ids of so many jobs that were submitted last, the newest first,
    and the array that was.
    """


class Recipe(View, frozen=True, kw_only=True):
    """How to submit such a job again: what it is, not when it was to start or what it waited for.

    Its key, dependencies, times and hold are left out.
    """

    command: Command
    options: Options
    cwd: bytes


class Shown(View, frozen=True, kw_only=True):
    """The answer to `show`: one job with its attempts and its history."""

    job: Job
    attempts: Annotated[list[Attempt], Meta(max_length=_MAX_ACTED)]
    events: Annotated[list[Event], Meta(max_length=_MAX_SHOWN)]
    why: str | None = None
    """Why it is pending, in words."""
    environment: Environment | None = None
    recipe: Recipe | None = None


class Show(Request, frozen=True, kw_only=True):
    """Everything about one job."""

    about = About(reply=Shown, changes=False, viewer=True)

    id: JobId
    environment: bool = False
    recipe: bool = False
    usage: bool = False
    """Also what it uses, if it runs: it is looked at."""

    @property
    def confidential(self) -> str:
        return "environments" if self.environment else ""


class Piece(View, frozen=True, kw_only=True):
    """The answer to `output`: a piece of what an attempt printed."""

    id: int
    attempt: int
    data: bytes
    offset: int
    """Where `data` begins."""
    ended: bool
    """The attempt has ended and this was the last piece."""
    state: State
    path: str
    next: int | None = None
    """Where the next request begins; None: at `offset + len(data)`."""
    path_bytes: bytes | None = None
    """Only where `path` is not UTF-8: exactly."""
    lost: str | None = None
    """Of the last piece: what of the job's output is there no more, and why, in words."""
    clipped: bool = False
    """`tail` was to begin with a line of which only the end is given, since it is that long."""

    why: str | None = None
    """Why it has not started, in words; told to whoever is not held back."""
    anew: bool = False
    """What was before the offset asked for is there no more: the job has made its output shorter,
    or replaced it, and `data` is from its begin.
    """

    @property
    def behind(self) -> int:
        """Where the next request begins."""
        return self.offset + len(self.data) if self.next is None else self.next

    @property
    def is_last(self) -> bool:
        return self.ended


SEEN: Final = 64
"""Bytes of an output by which it is known again."""


class Output(Request, frozen=True, kw_only=True):
    """A piece of a job's output.

    `offset` counts bytes from the start; `tail` (lines) replaces it on the first request.
    `seen`: the last bytes that were read before `offset`; if others are there, `Piece.anew`.
    `wait` (seconds): how long to wait for more where there is none yet.
    `follows`: whoever asks goes on until the end; a daemon that leaves stays for that a while.
    `id` None: the job started last.
    """

    # Behind what a job printed, its exit code is asked for.
    about = About(reply=Piece, changes=False, viewer=True, waits=True, asks_on=5.0)

    id: JobId | None = None
    attempt: Annotated[int, Meta(ge=1)] | None = None
    offset: Annotated[int, Meta(ge=0, le=MAX_BYTES)] = 0
    tail: Annotated[int, Meta(ge=0, le=MAX_BYTES)] | None = None
    seen: Annotated[bytes, Meta(max_length=SEEN)] = b""
    wait: Seconds = 0.0
    follows: bool = False


class EventPage(View, frozen=True, kw_only=True):
    """The answer to `events`: some of the history, and where to go on."""

    events: Annotated[list[Event], Meta(max_length=_MAX_SHOWN)]
    next: int
    """Ask again with `after=next`."""
    unfinished: int = 0
    """0 once all of the selected jobs have finished, and then `events` holds the last of them."""
    first: int = 0
    """The oldest event that is kept; those before it are no longer known."""
    written: Annotated[list[int], Meta(max_length=MAX_WORKERS)] = field(default_factory=list)
    """Those of the request's `written` that have printed more by now."""
    owner: str = ""
    """Who runs the daemon: what somebody else did is told with a name."""

    @property
    def is_last(self) -> bool:
        return not self.unfinished

    @property
    def is_for_many(self) -> bool:
        # A page for many is kept: so not a long one, nor the last one that anybody gets.
        return bool(self.unfinished) and 0 < len(self.events) <= _MAX_SHARED


class Events(Request, frozen=True, kw_only=True):
    """The history behind `after`.

    `wait` (seconds): how long to wait where there is nothing new. `after` None: from now on.
    `follows`: as for `Output`.
    `written`: running jobs, and how many bytes of the output of each are known; the wait ends also
    when one of them has printed more, though not within its first half second.
    """

    about = About(reply=EventPage, changes=False, viewer=True, waits=True)

    selector: Selector = field(default_factory=Selector)
    after: Annotated[int, Meta(ge=0, le=MAX_ID)] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    wait: Seconds = 0.0
    follows: bool = False
    written: Annotated[
        dict[JobId, Annotated[int, Meta(ge=0, le=MAX_BYTES)]], Meta(max_length=MAX_WORKERS)
    ] = field(default_factory=dict)


Micros = Annotated[int, Meta(ge=0, le=round((MAX_TIME - 7 * 86400) * 1e6))]
"""A point of time, microseconds since the epoch; every zone has a name for it."""


class Ended(Struct, frozen=True, array_like=True):
    """A finished attempt, for those who count many: of a job that may be removed by now."""

    job: JobId
    attempt: JobId
    state: State
    cause: str | None
    """Its reason without names of files or jobs."""
    exit_code: int | None
    signal: str | None
    name: str
    user: str
    group: str
    slots: Annotated[int, Meta(ge=1, le=MAX_WORKERS)]
    slot: Annotated[int, Meta(ge=0, le=MAX_WORKERS)]
    queued_at: Micros | None
    """When it began to wait; None where that was not written down yet."""
    started_at: Micros
    finished_at: Micros
    cpu_us: Annotated[int, Meta(ge=0, le=MAX_BYTES)] | None
    max_rss_kb: Annotated[int, Meta(ge=0, le=MAX_BYTES)] | None


class HistoryPage(View, frozen=True, kw_only=True):
    """The answer to `history`: some finished attempts by job and attempt, and where to go on."""

    attempts: Annotated[list[Ended], Meta(max_length=_MAX_SHOWN)]
    next: tuple[int, int] | None = None
    """Ask again with `after=next`; None at the end. A page before that may hold none."""


class History(Request, frozen=True, kw_only=True):
    """Finished attempts behind `after` (a job and an attempt), also of jobs that were removed.

    `since`, `until`: when they ended, in seconds since the epoch.
    """

    about = About(reply=HistoryPage, changes=False, viewer=True)

    states: Annotated[list[State], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    groups: Annotated[list[Group], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    users: Annotated[list[User], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    name: Name = ""
    """A pattern with `*`, `?` and `[…]`, as a shell has them."""
    since: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    until: Annotated[float, Meta(ge=0, le=MAX_TIME)] | None = None
    after: tuple[Annotated[int, Meta(ge=0, le=MAX_ID)], Annotated[int, Meta(ge=0, le=MAX_ID)]] = (
        0,
        0,
    )


class Waited(View, frozen=True, kw_only=True):
    """The answer to `wait`: whether all have finished, and how."""

    done: bool
    total: int
    counts: Counts = field(default_factory=dict)
    """The selected jobs by state."""
    jobs: Annotated[list[Job], Meta(max_length=_MAX_SHOWN)] = field(default_factory=list)
    """Once done: those that did not complete (at most 1,000); the job itself where it is one, and
    with `any` those that have finished.
    """
    last_lines: Annotated[dict[int, str], Meta(max_length=_MAX_SHOWN)] = field(default_factory=dict)
    """The last line of output of each of `jobs` that failed."""
    ids: Annotated[list[tuple[int, int]], Meta(max_length=MAX_RANGES)] = field(default_factory=list)
    """The selection as ranges of ids: ask again with these, so that `--all` stays the same jobs."""
    missing: Annotated[list[int], Meta(max_length=MAX_RANGES)] = field(default_factory=list)
    array: Array | None = None
    """What is selected, where that is one array or batch from its first element to its last."""

    @property
    def ended(self) -> int:
        """How many of the jobs have finished."""
        return sum(self.counts.get(state, 0) for state in FINISHED)

    @property
    def is_last(self) -> bool:
        return self.done


class Wait(Request, frozen=True, kw_only=True):
    """Wait until the selected jobs have finished; or only until one has (`any`), until the first
    has failed or was stopped (`fail_fast`), until none is pending any more (`running`).

    Comes back after `wait` seconds at the latest; the client asks again with the same ids.
    """

    about = About(reply=Waited, changes=False, viewer=True, waits=True)

    selector: Selector
    any: bool = False
    fail_fast: bool = False
    running: bool = False
    wait: Seconds = 0.0

    def is_met(self, counts: dict[State, int]) -> bool:
        """Whether it has come to what is waited for; `counts`: the selected jobs by state."""
        pending, running = counts.get(State.PENDING, 0), counts.get(State.RUNNING, 0)
        if self.running:
            return not pending
        if self.any:
            return any(counts.get(state) for state in FINISHED) or not pending + running
        return not pending + running or (
            self.fail_fast and bool(counts.get(State.FAILED) or counts.get(State.STOPPED))
        )


class Note(View, frozen=True, kw_only=True):
    """What is to be told about one job of a mass change."""

    id: int
    text: str


class Acted(View, frozen=True, kw_only=True):
    """What a changing request did: ids, what was so already, and what could not be done."""

    done: Annotated[list[int], Meta(max_length=_MAX_ACTED)]
    notices: Annotated[list[Note], Meta(max_length=_MAX_ACTED)] = field(default_factory=list)
    errors: Annotated[list[Note], Meta(max_length=_MAX_ACTED)] = field(default_factory=list)
    attempts: Annotated[dict[int, int], Meta(max_length=_MAX_ACTED)] = field(default_factory=dict)
    """`Restart`: the number of the coming attempt of each job."""
    more: bool = False
    """Not all is done yet: ask again under the same request id, and it goes on."""
    since: int | None = None
    """The last event before it."""
    grace: float | None = None
    """`Stop`: seconds after which what still runs is killed."""


class Start(Request, frozen=True, kw_only=True):
    """Held or stopped jobs become pending again."""

    about = About(reply=Acted, changes=True, viewer=False)

    selector: Selector
    dry_run: bool = False
    """Only tell what would be done: the answer is the same, and nothing is changed."""


class Hold(Request, frozen=True, kw_only=True):
    """Pending jobs do not start before they are let go with `Start`."""

    about = About(reply=Acted, changes=True, viewer=False, makes_room=True)

    selector: Selector
    dry_run: bool = False


class Pause(Request, frozen=True, kw_only=True):
    """Halt running jobs (SIGSTOP), or let a group start nothing.

    With `group` the selector is empty; `running`: the group's running jobs are halted, too.
    """

    about = About(reply=Acted, changes=True, viewer=False, makes_room=True)

    selector: Selector = field(default_factory=Selector)
    group: Group | None = None
    running: bool = False
    dry_run: bool = False


class Resume(Request, frozen=True, kw_only=True):
    """The opposite of `Pause` (SIGCONT), with the same fields."""

    about = About(reply=Acted, changes=True, viewer=False)

    selector: Selector = field(default_factory=Selector)
    group: Group | None = None
    running: bool = False
    dry_run: bool = False


class Edit(Request, frozen=True, kw_only=True):
    """Change a pending job; what is not set stays."""

    about = About(reply=Acted, changes=True, viewer=False)

    id: JobId
    name: Name | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=100)] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    group: Group | UnsetType = UNSET
    after: Parents | UnsetType = UNSET
    """In the place of all that it had to see completed; empty: nothing."""
    after_any: Parents | UnsetType = UNSET
    delay: Seconds | UnsetType = UNSET
    """From now on; 0 lets it start at once."""
    at: Annotated[float, Meta(ge=0, le=MAX_TIME)] | UnsetType = UNSET
    time_limit: Annotated[float, Meta(ge=0, le=10 * 365 * 86400)] | UnsetType = UNSET
    """0: none."""
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] | UnsetType = UNSET
    retry_delay: Seconds | UnsetType = UNSET
    retry_on: Annotated[list[ExitCode], Meta(max_length=255)] | UnsetType = UNSET
    notify: Wishes | UnsetType = UNSET


class GroupShare(View, frozen=True, kw_only=True):
    """A group: its part of the workers, and its jobs."""

    name: str
    workers: int | None = None
    paused: bool = False
    busy: int = 0
    """Workers that its jobs occupy."""
    pending: int = 0
    """Jobs that wait for their turn or for their time: not those that are held or dependent."""


class GroupsReply(View, frozen=True, kw_only=True):
    """The answer to `groups`."""

    groups: Annotated[list[GroupShare], Meta(max_length=_MAX_SHOWN)]


class Groups(Request, frozen=True, kw_only=True):
    """Show all groups, or add, set or remove one first.

    `workers`: how many the group may have at a time; None: as many as there are.
    """

    about = About(reply=GroupsReply, changes=True, viewer=True)

    action: Literal["list", "add", "set", "rm"] = "list"
    name: Group | None = None
    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] | None = None

    @property
    def only_looks(self) -> bool:
        return self.action == "list"


class Stop(Request, frozen=True, kw_only=True):
    """Ask the selected jobs to end; comes back at once.

    `grace`: seconds from the first signal to KILL; None is the daemon's own setting.
    """

    about = About(reply=Acted, changes=True, viewer=False, makes_room=True)

    selector: Selector
    grace: Seconds | None = None
    signal: Annotated[int, Meta(ge=1, le=64)] = 15
    removing: bool = False
    """They are about to be removed: those that others wait for are refused."""
    dry_run: bool = False


class Restart(Request, frozen=True, kw_only=True):
    """Finished jobs become pending again under the same id.

    `environment`: replaces the captured one.
    """

    about = About(reply=Acted, changes=True, viewer=False)

    selector: Selector
    environment: Environment | None = None
    dry_run: bool = False


class Rm(Request, frozen=True, kw_only=True):
    """Delete finished jobs with their output.

    A running or pending job is refused; `jobctl rm --force` stops it first.
    """

    about = About(reply=Acted, changes=True, viewer=False, makes_room=True)

    selector: Selector
    dry_run: bool = False


class Progress(Request, frozen=True, kw_only=True):
    """Progress reported from inside a job."""

    about = About(reply=Acted, changes=True, viewer=False)

    id: JobId
    percent: Annotated[float, Meta(ge=0, le=100)]
    message: Annotated[str, Meta(max_length=1000)] | None = None


class WorkersReply(View, frozen=True, kw_only=True):
    """The answer to `workers`."""

    workers: int
    busy: int


class Workers(Request, frozen=True, kw_only=True):
    """Show (None) or set how many jobs run at a time."""

    about = About(reply=WorkersReply, changes=True, viewer=True)

    workers: Annotated[int, Meta(ge=0, le=MAX_WORKERS)] | None = None

    @property
    def only_looks(self) -> bool:
        return self.workers is None


class Status(Request, frozen=True, kw_only=True):
    """What the daemon says of itself."""

    about = About(reply=DaemonStatus, changes=False, viewer=True, patience=10.0)

    sizes: bool = False
    """Also what all outputs take: it costs a look at each of up to 20,000 files."""
    gpus: bool = False
    """Also what the GPUs are doing: their driver is asked."""


class Notified(View, frozen=True, kw_only=True):
    """The answer to `notify`: the messages that are on their way, by number."""

    ids: Annotated[list[int], Meta(max_length=MAX_VALUES)]


class Notify(Request, frozen=True, kw_only=True):
    """Send a message to see whether it arrives; it is tried once.

    `to`: the name of a rule, a URL or a command; empty: all rules.
    """

    about = About(reply=Notified, changes=True, viewer=False)

    to: Annotated[str, Meta(max_length=MAX_URL)] = ""


class Delivery(View, frozen=True, kw_only=True):
    """A message on its way to one destination. No URL is in it."""

    id: int
    token: str
    """By this its receiver knows it, if it comes twice."""
    rule: str
    to: str
    """The command; of a URL its kind alone."""
    on: str
    """What it was the occasion for."""
    title: str
    job: int | None = None
    count: int = 1
    """So many things it tells of."""
    state: DeliveryState
    tries: int = 0
    error: str | None = None
    """Why it was not delivered the last time."""
    made_at: Moment
    next_try_at: Moment | None = None
    ended_at: Moment | None = None


class Deliveries(View, frozen=True, kw_only=True):
    """The answer to `notifications`, the newest first."""

    notifications: Annotated[list[Delivery], Meta(max_length=_MAX_SHOWN)]
    is_over: bool = True
    """None of those that were named is on its way any more."""

    @property
    def is_last(self) -> bool:
        return self.is_over


class Notifications(Request, frozen=True, kw_only=True):
    """The latest messages, or (`ids`) these.

    `wait` (seconds): how long to wait until none of `ids` is on its way any more.
    """

    about = About(reply=Deliveries, changes=False, viewer=True, waits=True)

    limit: Annotated[int, Meta(ge=1, le=MAX_VALUES)] = 100
    ids: Annotated[list[JobId], Meta(max_length=MAX_VALUES)] = field(default_factory=list)
    wait: Seconds = 0.0


class Forgotten(View, frozen=True, kw_only=True):
    """The answer to `forget`."""

    lost: str | None = None
    """What is told no more, in words; None: there was nothing."""


class Forget(Request, frozen=True, kw_only=True):
    """What a power cut took of outputs is told no more: what is left of each is all of it."""

    about = About(reply=Forgotten, changes=True, viewer=False)


class MetricsText(View, frozen=True, kw_only=True):
    """All metrics, as Prometheus reads them."""

    text: str


class Metrics(Request, frozen=True, kw_only=True):
    """The numbers of this moment. Raises: Refused (there are none: they are off)."""

    about = About(reply=MetricsText, changes=False, viewer=True)


class ShutdownReply(View, frozen=True, kw_only=True):
    """The answer to `shutdown`."""

    waiting_for: Annotated[list[int], Meta(max_length=_MAX_ACTED)]


class Shutdown(Request, frozen=True, kw_only=True):
    """Drain and exit; `now`: end the running jobs first. Answered at once."""

    about = About(reply=ShutdownReply, changes=False, viewer=False, patience=10.0, ends=True)

    now: bool = False
    timeout: Seconds | None = None
    """After so many seconds a graceful stop turns into `now`."""


class Setting(View, frozen=True, kw_only=True):
    """A key of the configuration, as it holds."""

    key: str
    value: Any
    source: Source
    after_restart: Any = UNSET
    """What it will be for the next daemon, where that is something else; null: nothing."""


class Holding(View, frozen=True, kw_only=True):
    """The answer to `configuration`; of URLs and passwords only that they are there."""

    file: str
    """Where it is read from."""
    settings: Annotated[list[Setting], Meta(max_length=_MAX_SHOWN)]


class Configuration(Request, frozen=True, kw_only=True):
    """What of `config.toml` and of the options of `jobd start` holds."""

    about = About(reply=Holding, changes=False, viewer=False)


class Change(View, frozen=True, kw_only=True):
    """A key of the configuration that has another value than the one that holds; null: none."""

    key: str
    before: Any = None
    after: Any = None
    counts: FromWhen


class Reloaded(View, frozen=True, kw_only=True):
    """The answer to `reload`: what differs from what held before."""

    file: str
    changes: Annotated[list[Change], Meta(max_length=_MAX_SHOWN)]


class Reload(Request, frozen=True, kw_only=True):
    """Read `config.toml` again; no job is touched."""

    about = About(reply=Reloaded, changes=True, viewer=False)


class RenewReply(View, frozen=True, kw_only=True):
    """The answer to `renew`."""

    pid: int


class Renew(Request, frozen=True, kw_only=True):
    """Replace supervisor and daemon by fresh processes; jobs go on."""

    about = About(reply=RenewReply, changes=False, viewer=False, patience=30.0, ends=True)
