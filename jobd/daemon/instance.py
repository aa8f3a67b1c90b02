"""The composition root: builds every object, and knows the order of starting and stopping."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, NoReturn

from msgspec import Struct

from jobd import supervisor
from jobd.contract.call import Call
from jobd.contract.config import Config, from_builtins
from jobd.contract.directories import Directory, Foreign
from jobd.contract.errors import BadRequest, JobdError, StoreGone
from jobd.contract.models import (
    DaemonStatus,
    Renew,
    RenewReply,
    Request,
    Shutdown,
    ShutdownReply,
    Status,
)
from jobd.contract.ownership import NotOurs, check_way, make_directory, remove_directory
from jobd.contract.paths import JOB_VARIABLES, Paths, make_private
from jobd.contract.states import EventName
from jobd.contract.version import VERSION
from jobd.contract.wording import printable
from jobd.core.eta import seconds_left
from jobd.core.gpus import Devices
from jobd.core.ledger import Ledger, Share
from jobd.core.retention import policy_of
from jobd.core.undo import Undo
from jobd.daemon.handlers import build_commands, changing, looking
from jobd.daemon.host_check import check_file_system, check_host, this_host
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.log_format import LogFormat
from jobd.daemon.queries.followers import Followers
from jobd.daemon.queries.output import OutputQuery
from jobd.daemon.queries.queries import Queries
from jobd.daemon.queries.redaction import RedactedViews, status_for_viewers
from jobd.daemon.queries.views import Views, path_text
from jobd.daemon.retention import Pruner, Surplus
from jobd.daemon.rpc.access import Access
from jobd.daemon.rpc.clients import Clients
from jobd.daemon.rpc.dispatch import Dispatch, Handler
from jobd.daemon.rpc.server import Server
from jobd.daemon.wiring import (
    Ground,
    build_execution,
    build_lifecycle,
    build_tables,
    start_writer,
)
from jobd.engines.base import Engine
from jobd.engines.local.run_table import is_of_this_boot
from jobd.engines.local.supervisor_link import Link
from jobd.outputs.usage import Usage, highest_job
from jobd.outputs.workspace import Workspace
from jobd.store.damage import faults_meanwhile, is_large, refuse_damaged
from jobd.store.database import Anchor, open_writer, save_log
from jobd.store.reader import Reader
from jobd.store.retention import Retained
from jobd.store.writer import Writer
from jobd.system import handover, linux
from jobd.system.clock import boot_us, now_us
from jobd.system.failpoints import failpoint
from jobd.system.file_watch import FileWatch
from jobd.system.log_file import LogFile
from jobd.system.timer import Timer

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
"""Seconds until what the machine refused is tried again."""
_MEND_S: Final = 0.5
"""Seconds until what was deleted is made anew."""
_LONGEST_RETRY_S: Final = 30.0
_SWITCH_S: Final = 0.001
"""Seconds after which a busy thread lets another have the interpreter: answers come promptly."""


class News(Enum):
    """What the main thread hears."""

    DRAIN = "drain"
    NOW = "now"
    IDLE = "idle"
    RENEW = "renew"
    ORPHANED = "orphaned"
    GONE = "gone"


class Setup(Struct, frozen=True, kw_only=True):
    """What a daemon is started with."""

    paths: Paths
    config: Config
    fresh: bool = True
    """Started by a person, not by a supervisor that replaces a daemon."""
    established: bool = False
    """A daemon of this instance has been ready before: then its database is there."""
    draining: bool = False
    """The daemon before was asked to stop, and its jobs still run."""
    drain_until: int | None = None
    """When those are to be ended, microseconds since boot."""


class Daemon:
    """One running instance. `link` None: without a supervisor (inside a test)."""

    drain_until: int | None = None
    """When what still runs is to be ended, microseconds since boot."""
    _damage: str | None = None
    _homeless = False

    def __init__(
        self,
        setup: Setup,
        link: Link | None = None,
        log_moved: Callable[[], object] = lambda: None,
        broken: Callable[[], object] = lambda: None,
    ) -> None:
        """`log_moved`: sees to the log when somebody has moved or deleted it.

        `broken`: called when nothing can be written any more, and memory may be untrue.
        """
        self._broken = broken
        self._setup = setup
        self.paths = paths = setup.paths
        self._link = link
        self._inbox: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._started = time.monotonic()
        workspace = self._prepare_files()
        config = setup.config.daemon
        if not config.state_is_private:
            check_file_system(paths.state)
        self._anchor = self._take_database()
        self._usage = Usage(paths.output)
        self._connection = connection = self._open_database()
        self._tables = tables = build_tables(connection, config.env_exclude)
        self.reader = Reader(paths.database, self._anchor.check)
        if not config.state_is_private:
            check_host(paths.state, self.reader.setting("host"))
        undo = Undo()
        self.notifier, self.timer = Notifier(), Timer()
        gpus = setup.config.gpus
        self.ledger = Ledger(
            undo, workers=self._workers(), next_id=self._last_id() + 1,
            devices=Devices(gpus.devices, gpus.per_device), moves=boot_us(),
        )  # fmt: skip
        self.engine = _engine(config.engine, paths, link)
        self.writer = Writer(connection, undo, self._anchor.check)
        self._ground = ground = Ground(
            paths=paths, workspace=workspace, config=config, undo=undo, ledger=self.ledger,
            tables=tables, reader=self.reader, writer=self.writer, timer=self.timer,
            notifier=self.notifier, engine=self.engine,
        )  # fmt: skip
        self.lifecycle = build_lifecycle(ground)
        self.execution = build_execution(ground, self.lifecycle, lambda: self._inbox.put(News.IDLE))
        self.runs = self.execution.runs
        selection = Selection(self.reader)
        self.commands = build_commands(ground, self.lifecycle, self.execution, selection)
        shown = paths, config.shell, self._pid_of, self._left_of
        queries = partial(
            Queries, workspace=workspace, ledger=self.ledger, reader=self.reader,
            selection=selection, notifier=self.notifier,
        )  # fmt: skip
        self.queries = queries(views=Views(*shown), keeping=True)
        self._followers = Followers(self.notifier, self.reader)
        self.outputs = OutputQuery(workspace, self.ledger, self.reader, self._followers)
        self._retained = Retained(connection)
        retention = setup.config.retention
        self._policy = policy_of(retention)
        surplus = Surplus(
            policy=self._policy, jobs=tables.jobs, dependencies=tables.dependencies,
            moves=self.lifecycle.moves, retained=self._retained, reader=self.reader,
            notifier=self.notifier,
        )  # fmt: skip
        self._pruner = Pruner(
            paths=paths, policy=self._policy, surplus=surplus, events=retention.events,
            notifier=self.notifier, manager=self.commands.manager, retained=self._retained,
            reader=self.reader, writer=self.writer, timer=self.timer,
        )  # fmt: skip
        # A viewer changes nothing, and so keeps nothing from being deleted either.
        for_viewers = looking(
            queries(views=RedactedViews(*shown), keeping=False),
            self.outputs,
            self._status_for_viewers,
        )
        dispatch = Dispatch(self._handlers(), for_viewers)
        self.server = Server(
            paths.socket, _shared(setup.config), dispatch,
            Clients(dispatch, Access(setup.config.access)),
        )  # fmt: skip
        self._file_watch = FileWatch(
            {
                **{
                    path: partial(self._soon, partial(self.server.mend, path))
                    for path in self.server.sockets
                },
                paths.database: self.writer.nudge,
                **{
                    Path(f"{paths.database}{suffix}"): partial(self._soon, self._mend_log_of_store)
                    for suffix in ("-wal", "-shm")
                },
                paths.lock: partial(self._soon, self._mend_lock),
                paths.log: partial(self._soon, log_moved),
            }
        )

    # --- start ------------------------------------------------------------------------------

    def _prepare_files(self) -> Workspace:
        """Raises: JobdError (also where one of the directories is not ours alone), OSError."""
        paths = self.paths
        if self._setup.established and not paths.database.exists():
            raise StoreGone(f"the database {paths.database} was deleted while jobd ran")
        if paths.ephemeral and self._setup.fresh:
            self._forget_earlier()
        for directory in (paths.state, paths.data, paths.database.parent):
            make_private(directory)
        self._home = Directory(paths.state)
        self._home.now()
        workspace = Workspace(paths)
        os.close(make_directory(paths.output))
        try:
            for place in (workspace.progress, workspace.scripts):
                place.now(make=True)
        except Foreign as error:
            raise NotOurs(f"not permitted: {error.strerror}") from error
        return workspace

    def _forget_earlier(self) -> None:
        """What another daemon in memory, that was killed, has left.

        Raises: NotOurs (somebody else has put something in its place), StoreFailed, OSError.
        """
        paths = self.paths
        try:
            for directory in (paths.data, paths.memory):
                check_way(directory)  # before anything in it is opened
            if paths.database.exists():
                Anchor(paths.database).close()  # refused where another daemon has it
            self._delete_ephemeral()
        except NotOurs as error:
            raise NotOurs(
                f"{error.message}; start without --ephemeral, or name another JOBD_HOME"
            ) from error

    def _take_database(self) -> Anchor:
        """Ours alone, before anybody looks into it; made only where none should be."""
        if not self.paths.database.exists():
            self._refuse_damaged()
            return Anchor(self.paths.database)
        anchor = Anchor(self.paths.database)
        try:
            self._refuse_damaged()
        except JobdError:
            anchor.close()
            raise
        return anchor

    def _open_database(self) -> Any:  # noqa: ANN401 - a connection of the store's own
        paths = self.paths
        connection = open_writer(paths.database, durable=not paths.ephemeral)
        self._anchor.opened()
        return connection

    def _refuse_damaged(self) -> None:
        paths = self.paths
        with os.scandir(paths.output) as found:
            output = next(found, None) is not None
        refuse_damaged(paths.database, output=output, same_boot=is_of_this_boot(paths.board))

    def _delete_ephemeral(self) -> None:
        """Raises: NotOurs, OSError."""
        for directory in {self.paths.data, self.paths.memory}:
            remove_directory(directory)

    def _last_id(self) -> int:
        """A database that was restored from an older copy does not know all jobs that there were;
        their output is not to be taken for that of others.
        """
        return max(self.reader.last_id(), highest_job(self.paths.output))

    def _workers(self) -> int:
        """A number set with `jobctl workers` outlives the daemon, not the next `jobd start`."""
        by_hand = self.reader.setting("workers")
        if by_hand is None or self._setup.fresh:
            return self._setup.config.daemon.workers
        return int(by_hand)

    def start(self) -> None:
        """Store → recovery → dispatch → server; when this returns, clients are answered."""
        self.timer.start()
        self.execution.signaller.start()
        self.execution.breaker.halt()
        if self._policy:
            self._retained.watch()
        start_writer(self._ground, self.execution, self._store_gone, self._broken)
        self.execution.recovery.recover(self._load_groups)
        failpoint("recovered")
        self.writer.call(self._note_start)
        self.lifecycle.delays.start()
        self.notifier.published(self.reader.last_event())
        self.execution.monitor.start()
        # What is deleted from here on is seen, and what was before is looked for.
        self._file_watch.start()
        self.server.listen()
        self._mend(self._mend_lock)
        if self._setup.draining:
            self._begin_drain(self._setup.drain_until)
            self._end_in_time()
        self.execution.breaker.resume()
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def _sweep(self) -> None:
        """Delete what a crash has left over: the output of removed jobs, scripts."""
        try:
            self.commands.manager.delete_outputs()
            self.execution.launcher.delete_scripts(self.runs)
        except (JobdError, OSError) as error:
            log.warning("left-over output stays for now: %s", error)
        self._begin_retention()
        self._look_through()

    def _begin_retention(self) -> None:
        """As often as it takes: what cannot be read just now may be later."""
        try:
            self._pruner.start()
        except JobdError as error:
            log.warning("retention does not begin yet: %s", error)
            self.timer.after(_RETRY_S, self._begin_retention)

    def _look_through(self) -> None:
        """A large database that is damaged: it is told, and the daemon goes on."""
        if not is_large(self.paths.database):
            return
        with contextlib.suppress(JobdError):
            for fault in faults_meanwhile(self.paths.database)[:1]:
                self._damage = f"the database is damaged ({' '.join(fault.split())}): jobd check"
                log.critical("%s", self._damage)

    def _note_start(self) -> None:
        self.lifecycle.delays.begin()
        self._tables.settings.set("host", this_host())
        self._tables.event_log.add(
            None, EventName.DAEMON_STARTED, "", now_us(), b'{"version":"%s"}' % VERSION.encode()
        )
        if self._setup.fresh:
            self._tables.settings.set("workers", str(self.ledger.workers))

    def _load_groups(self) -> None:
        """What the configuration says of a group counts at `jobd start`, as with the workers."""
        for name, workers, paused in self._tables.settings.groups():
            self.ledger.set_group(name, Share(workers, paused))
        for name, wanted in self._setup.config.groups.items() if self._setup.fresh else ():
            paused = self.ledger.groups.get(name, Share()).paused
            self._tables.settings.set_group(name, wanted.workers, paused=paused)
            self.ledger.set_group(name, Share(wanted.workers, paused))

    def _soon(self, mend: Callable[[], object]) -> None:
        """Not while somebody deletes all of it: that would only fail to delete the directory."""
        self.timer.after(_MEND_S, lambda: self._mend(mend))

    def _mend(self, mend: Callable[[], object], pause: float = _RETRY_S) -> None:
        if not self._is_home():
            self._leave_home()
        elif self.paths.database.exists():
            try:
                mend()
            except (OSError, JobdError) as error:
                log.warning("what was deleted cannot be made anew yet: %s", error)
                again = min(2 * pause, _LONGEST_RETRY_S)
                self.timer.after(pause, lambda: self._mend(mend, again))

    def _is_home(self) -> bool:
        """Whether the state directory is the one that we began in."""
        return self._home.is_there()

    def _mend_lock(self) -> None:
        """Without it nobody would know that we are there. Raises: OSError.

        Whoever has taken it meanwhile finds that the database is ours, and leaves.
        """
        if self._link is not None and self._link.mend_lock(self.paths.lock):
            log.warning("the lock %s was deleted, and is made anew", self.paths.lock)

    def _mend_log_of_store(self) -> None:
        """What is in the log is brought into the database, and the next daemon begins a new log."""
        if self._link is not None and not self._anchor.has_log():
            log.warning("the log of the database was deleted: a new daemon begins another one")
            self.tell(News.RENEW)

    def _store_gone(self) -> None:
        """Moved away it may come back."""
        if self._anchor.is_deleted() and not self._is_home():
            self._leave_home()

    def _leave_home(self) -> None:
        """Nobody can reach us any more."""
        if not self._homeless:
            self._homeless = True
            log.critical("%s was deleted: jobd ends with its last job", self.paths.state)
            self.server.close_to_others()
            self.tell(News.GONE)

    # --- run --------------------------------------------------------------------------------

    def tell(self, news: News) -> None:
        """From any thread."""
        self._inbox.put(news)

    def run(self) -> News:
        """Until it is drained, to be renewed, or orphaned."""
        while True:
            news = self._inbox.get()
            if news in (News.RENEW, News.ORPHANED):
                return news
            if news is News.IDLE and self.ledger.draining and not self.runs:
                return news
            try:
                self._hear(news)
            except JobdError as error:
                log.warning("%s: %s", news.value, error)

    def _hear(self, news: News) -> None:
        if news is News.DRAIN:
            self._drain()
        elif news is News.NOW:
            self._begin_drain(boot_us())
            self.execution.stop_orders.end_all()
        elif news is News.GONE:
            self._begin_drain()

    def _drain(self) -> None:
        """A second one is `--now`."""
        again = self.ledger.draining
        self._begin_drain(boot_us() if again else None)
        if again:
            self.execution.stop_orders.end_all()

    def _begin_drain(self, until: int | None = None) -> list[int]:
        """The jobs that it now waits for; `until`: when to end them, microseconds since boot."""
        known = [time for time in (until, self.drain_until) if time is not None]
        self.drain_until = min(known, default=None)
        if self._link is not None:
            self._link.draining(self.drain_until)
        return self.execution.drain.begin()

    def _end_in_time(self) -> None:
        if self.drain_until is not None:
            left = max(0, self.drain_until - boot_us()) / 1e6
            self.timer.after(left, lambda: self._inbox.put(News.NOW))

    # --- stop -------------------------------------------------------------------------------

    def close(self, *, clean: bool) -> None:
        """Server → waiting clients → the last commit → files. `clean`: nothing runs any more."""
        self._file_watch.close()
        self.server.close(replaced=not clean)
        self._followers.close()
        self.notifier.close()
        self._pruner.close()
        self.execution.breaker.halt()
        with contextlib.suppress(JobdError):
            if clean:
                self.writer.call(
                    lambda: self._tables.event_log.add(None, EventName.DAEMON_STOPPED, "", now_us())
                )
        self.reader.close()
        self.writer.close()
        if not self._anchor.has_log():
            self._save_log()
        # The last connection that is closed makes its log a part of the one file.
        self._connection.close()
        ours = self._anchor.holds()
        self._anchor.close()
        self.execution.workers.close()
        self.timer.close()
        self.execution.signaller.close()
        self.lifecycle.delays.close()
        if clean and self.paths.ephemeral and ours:
            with contextlib.suppress(JobdError, OSError):
                self._delete_ephemeral()

    def _save_log(self) -> None:
        """It was deleted: what is in it would go with the last of our connections."""
        try:
            save_log(self._connection)
        except JobdError as error:
            log.critical("what was confirmed last may be lost: %s", error)

    # --- requests about the daemon itself --------------------------------------------------------

    def _handlers(self) -> dict[type[Request], Handler]:
        return {
            **changing(self.commands),
            **looking(self.queries, self.outputs, self._status),
            Shutdown: self._shutdown,
            Renew: self._renew,
        }

    def _pid_of(self, job: int) -> int | None:
        run = self.runs.get(job)
        return None if run is None else run.pid

    def _left_of(self, job: int) -> float | None:
        run = self.runs.get(job)
        return None if run is None else seconds_left(run.pace, now_us() / 1e6)

    def _status(self, request: Status, _: Call) -> DaemonStatus:
        paths, ledger = self.paths, self.ledger
        return DaemonStatus(
            running=True,
            pid=os.getpid(),
            supervisor_pid=None if self._link is None else os.getppid(),
            version=VERSION,
            uptime_s=round(time.monotonic() - self._started, 3),
            engine=self._setup.config.daemon.engine,
            workers=ledger.workers,
            busy=ledger.busy,
            gpus=ledger.gpus,
            draining=ledger.draining,
            ephemeral=paths.ephemeral,
            jobs=dict(ledger.counts),
            socket=path_text(paths.socket),
            access_socket=None
            if (shared := _shared(self._setup.config)) is None
            else path_text(shared),
            database=path_text(paths.database),
            log=path_text(paths.log),
            state_dir=path_text(paths.state),
            database_bytes=_sizes(
                Path(f"{paths.database}{suffix}") for suffix in ("", "-wal", "-shm")
            ),
            output_bytes=self._usage.measured() if request.sizes else None,
            error=self._damage or self.writer.trouble or self._start_trouble(),
        )

    def _status_for_viewers(self, request: Status, call: Call) -> DaemonStatus:
        return status_for_viewers(self._status(request, call))

    def _start_trouble(self) -> str | None:
        trouble = self.execution.breaker.trouble
        return None if trouble is None else f"no job can be started: {trouble}"

    def _shutdown(self, request: Shutdown, _: Call) -> ShutdownReply:
        seconds = 0.0 if request.now else request.timeout
        until = None if seconds is None else boot_us() + int(seconds * 1e6)
        waiting = self._begin_drain(until)
        if until is not None:
            self._end_in_time()
        return ShutdownReply(waiting_for=waiting)

    def _renew(self, _request: Renew, _: Call) -> RenewReply:
        self._inbox.put(News.RENEW)
        return RenewReply(pid=os.getpid())


def _shared(config: Config) -> Path | None:
    """Where others come in."""
    return Path(config.access.socket) if config.access.socket else None


def _engine(name: str, paths: Paths, link: Link | None) -> Engine:
    """Found by its name, loaded when it is chosen. Raises: BadRequest."""
    found = entry_points(group="jobd.engines", name=name)
    if not found:
        known = ", ".join(sorted(entry.name for entry in entry_points(group="jobd.engines")))
        raise BadRequest(f"engine: there is no {name!r}; known are: {known}")
    engine: Engine = next(iter(found)).load()(paths.board, link)
    return engine


def _sizes(files: Any) -> int:  # noqa: ANN401 - any iterable of paths
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


# --- the process --------------------------------------------------------------------------------


def setup_of(plan: dict[str, Any]) -> Setup:
    paths = Paths(Path(plan["state"]), Path(plan["config_path"]), bool(plan.get("ephemeral")))
    return Setup(
        paths=paths,
        config=from_builtins(plan["config"]),
        fresh=bool(plan.get("fresh")),
        established=bool(plan.get("established")),
        draining=bool(plan.get("draining")),
        drain_until=plan.get("drain_until"),
    )


def _plan() -> dict[str, Any]:
    """What we were told. No job inherits it, or any descriptor that it names.

    It stays open: should we hang, and nobody watch over us, the next one is told the same.
    """
    plan = handover.read(sys.argv[1])
    told = handover.descriptor_in(sys.argv[1])
    named = [plan[key] for key in ("lock", "link", "gate_r", "gate_w")]
    for fd in (*named, *plan.get("pidfds", {}).values(), *([] if told is None else [told])):
        os.set_inheritable(fd, False)
    return plan


def main() -> NoReturn:
    plan = _plan()
    pidfds: dict[str, int] = plan.get("pidfds", {})
    os.umask(0o077)
    os.chdir("/")
    sys.setswitchinterval(_SWITCH_S)
    # Not SIG_IGN: a job that is not started by posix_spawn would inherit that (execve(2)).
    signal.signal(signal.SIGHUP, lambda *_: None)
    for name in JOB_VARIABLES:
        os.environ.pop(name, None)
    setup = setup_of(plan)
    file = LogFile(str(setup.paths.log), setup.config.daemon.max_log)
    file.setFormatter(LogFormat())
    logging.basicConfig(level=logging.INFO, handlers=[file])
    daemon: Daemon | None = None

    def orphaned() -> None:
        log.warning("the supervisor has died; becoming one")
        if daemon is None:
            os._exit(1)
        daemon.tell(News.ORPHANED)

    link = Link(socket.socket(fileno=plan["link"]), orphaned, pidfds, plan["lock"])
    link.used = {token: used for token, used in plan.get("used", {}).items() if used}
    link.last_daemon = plan.get("last_daemon")
    link.start()
    file.share(link.log_moved)
    link.synced.wait()
    # Never by way of sys.exit: it would join worker threads, and they wait for their jobs.
    try:
        # When the writer breaks down, the next daemon reads from the disk what is true.
        daemon = Daemon(setup, link, file.look, lambda: _exit(1))
        daemon.start()
    except (JobdError, OSError) as error:
        log.critical("cannot start: %s", error)
        link.failed(printable(str(error)))
        gone = isinstance(error, StoreGone)
        _exit(supervisor.EXIT_GONE if gone else supervisor.EXIT_REFUSED)
    except Exception:
        log.exception("cannot start")
        _exit(1)
    threading.Thread(target=_await_signals, args=[daemon], name="signals", daemon=True).start()
    link.ready()
    log.info("jobd %s started: pid %d", VERSION, os.getpid())
    try:
        _leave(daemon, daemon.run(), plan)
    except Exception:
        log.exception("the daemon broke down; its jobs go on under the next one")
        _exit(1)


def _exit(code: int) -> NoReturn:
    logging.shutdown()
    os._exit(code)


def _await_signals(daemon: Daemon) -> None:
    """The supervisor started us with these blocked, and all threads keep them so: none is lost.

    A handler would not do. What comes just before the main thread goes to sleep is handled only
    when something else wakes it up.
    """
    while True:
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
        daemon.tell(News.DRAIN)


def _leave(daemon: Daemon, news: News, plan: dict[str, Any]) -> NoReturn:
    if news is News.ORPHANED:
        # From here on nothing may be started or recorded: the next daemon finds it as it is.
        failpoint("orphaned")
        daemon.engine.freeze()
        failpoint("before-exec")
        _become_supervisor(lambda: _heritage(daemon, plan))
    daemon.close(clean=news is News.IDLE)
    failpoint("closed")
    log.info("jobd %s leaves (%s)", VERSION, "stopped" if news is News.IDLE else news.value)
    _exit(supervisor.EXIT_CLEAN if news is News.IDLE else supervisor.EXIT_RENEW)


def _heritage(daemon: Daemon, plan: dict[str, Any]) -> dict[str, Any]:
    """What the next supervisor has to know, as it is now."""
    handles = daemon.engine.handles()
    return {
        **{key: plan[key] for key in ("lock", *supervisor.HERITAGE)},
        "established": True,
        "last_daemon": (os.getpid(), linux.ticks()),
        "draining": daemon.ledger.draining,
        "drain_until": daemon.drain_until,
        "gate": plan["gate_r"],
        "pidfds": {token: pidfd for token, (pidfd, _) in handles.items()},
        "used": {token: use for token, (_, use) in handles.items()},
    }


def _become_supervisor(heritage: Callable[[], dict[str, Any]]) -> NoReturn:
    """As often as it takes: the jobs are our children, and nobody else can tell how they end.

    Meanwhile jobs end and a stop may be ordered, so the heritage is made up anew each time.
    """
    while True:
        try:
            supervisor.become_supervisor(heritage())
        except OSError as error:
            # The interpreter is being replaced by another version, for example.
            log.critical("cannot become a supervisor: %s; tried again soon", error.strerror)
            time.sleep(_RETRY_S)
