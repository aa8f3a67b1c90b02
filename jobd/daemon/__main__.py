"""The daemon's process: what it is told, its signals, and how it becomes a supervisor itself."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from jobd import supervisor
from jobd.contract.configured import from_plain
from jobd.contract.errors import JobdError, StoreGone, shortage
from jobd.contract.paths import JOB_VARIABLES, Paths
from jobd.contract.version import VERSION
from jobd.contract.wording import printable
from jobd.daemon import heritage
from jobd.daemon.instance import Daemon
from jobd.daemon.log_format import format_of, handler_of
from jobd.daemon.rpc.access import login
from jobd.daemon.setup import Setup
from jobd.daemon.shutdown import News
from jobd.daemon.signals import Signals
from jobd.daemon.supervisor_link import Link
from jobd.system import handover, linux
from jobd.system.failpoints import failpoint
from jobd.system.heap import share_one_heap
from jobd.system.log_file import LogFile

log = logging.getLogger("jobd.daemon")
_RETRY_S: Final = 1.0
"""Seconds until what the machine refused is tried again."""
_SWITCH_S: Final = 0.001
"""Seconds after which a busy thread lets another have the interpreter: answers come promptly."""

_COLLECTED: Final = (5_000, 20, 50)
"""New objects, and rounds, after which cycles are looked for (see gc). By default a large request
or answer, which has none, is looked through several times while it is built, and all threads wait.
"""


def setup_of(plan: dict[str, Any]) -> Setup:
    paths = Paths(Path(plan["state"]), Path(plan["config_path"]), bool(plan.get("ephemeral")))
    return Setup(
        paths=paths,
        configured=from_plain(plan),
        fresh=bool(plan.get("fresh")),
        established=bool(plan.get("established")),
        draining=bool(plan.get("draining")),
        drain_until=plan.get("drain_until"),
        unsaved=plan.get("unsaved", {}),
        heritage=partial(heritage.left_to, plan=plan),
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
    _settle_in()
    setup = setup_of(plan)
    form = setup.config.log.format
    logging.basicConfig(level=logging.INFO, handlers=[handler_of(form, logging.StreamHandler())])
    daemon: Daemon | None = None
    signals = Signals()

    def orphaned() -> None:
        if daemon is not None:
            daemon.built.ending.inbox.put(News.ORPHANED)
        elif plan.get("established"):
            _become_supervisor(lambda: _as_told(plan))
        else:
            # Whoever starts it is told that it could not.
            log.error("the supervisor has died before there was a daemon")
            _exit(1)

    link = _link(plan, orphaned)
    file = _begin_log(setup, link)
    link.synced.wait()
    try:
        # When the writer breaks down, the next daemon reads from the disk what is true.
        daemon = Daemon(setup, link, file.look, lambda: _make_way(daemon, plan, link, signals, 1))
        in_force = daemon.built.ground.in_force
        file.limit_by(lambda: in_force.config.daemon.max_log)
        file.setFormatter(format_of(in_force.config.log.format))
        daemon.start()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        _refuse(link, error)
    signals.start(partial(_hear, daemon))
    link.ready()
    log.info("jobd %s started: pid %d", VERSION, os.getpid())
    try:
        _leave(daemon, daemon.run(), plan, link, signals)
    except Exception:
        log.exception("the daemon broke down; its jobs go on under the next one")
        _make_way(daemon, plan, link, signals, 1)


def _begin_log(setup: Setup, link: Link) -> LogFile:
    """From here on the log is kept from growing: the supervisor can be told of a new one."""
    file = LogFile(str(setup.paths.log), setup.config.daemon.max_log, link.log_moved)
    root = logging.getLogger()
    before = [*root.handlers]
    # First the new one: no line is lost.
    root.addHandler(handler_of(setup.config.log.format, file))
    for handler in before:
        root.removeHandler(handler)
    return file


def _settle_in() -> None:
    """What this process has of whoever started it is put aside."""
    os.umask(0o077)
    os.chdir("/")
    sys.setswitchinterval(_SWITCH_S)
    share_one_heap()
    gc.set_threshold(*_COLLECTED)
    # An older supervisor has not blocked it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    for name in JOB_VARIABLES:
        os.environ.pop(name, None)


def _link(plan: dict[str, Any], orphaned: Callable[[], object]) -> Link:
    link = Link(socket.socket(fileno=plan["link"]), orphaned, plan["lock"], plan.get("last_daemon"))
    link.start()
    return link


def _refuse(link: Link, error: Exception) -> NoReturn:
    """It cannot start: the supervisor hears why, and whether to try again."""
    lacks = shortage(error)
    if lacks is not None:
        error = JobdError(lacks)
    if not isinstance(error, JobdError | OSError):
        log.error("cannot start", exc_info=error)
        _exit(1)
    log.critical("cannot start: %s", error)
    link.failed(printable(str(error)))
    gone = isinstance(error, StoreGone)
    _exit(supervisor.EXIT_GONE if gone else supervisor.EXIT_REFUSED)


def _exit(code: int) -> NoReturn:
    """Never by way of sys.exit: it would join worker threads, and they wait for their jobs."""
    logging.shutdown()
    os._exit(code)


def _hear(daemon: Daemon, number: int) -> None:
    if number == signal.SIGHUP:
        daemon.built.verbs.reloading.by_signal(login(os.getuid()))
    else:
        daemon.built.ending.inbox.put(News.DRAIN)


def _leave(
    daemon: Daemon, news: News, plan: dict[str, Any], link: Link, signals: Signals
) -> NoReturn:
    if news is News.ORPHANED:
        failpoint("orphaned")
        _take_its_place(daemon, plan, signals)
    daemon.wind_up(clean=news is News.IDLE)
    failpoint("closed")
    if news is News.IDLE:
        log.info("jobd %s leaves (stopped): pid %d", VERSION, os.getpid())
        _exit(supervisor.EXIT_CLEAN)
    _make_way(daemon, plan, link, signals, supervisor.EXIT_RENEW)


def _make_way(
    daemon: Daemon | None, plan: dict[str, Any], link: Link, signals: Signals, code: int
) -> NoReturn:
    """For the next daemon: the supervisor starts it, or we do where that has died meanwhile."""
    if daemon is not None:
        if link.is_cut():
            _take_its_place(daemon, plan, signals)
        daemon.built.ending.hear_out()
        if unsaved := daemon.built.execution.runs.unsaved():
            link.unsaved(unsaved)
    if code == supervisor.EXIT_RENEW:
        log.info("jobd %s leaves (renew): pid %d", VERSION, os.getpid())
    _exit(code)


def _take_its_place(daemon: Daemon, plan: dict[str, Any], signals: Signals) -> NoReturn:
    """Of the supervisor. From here on nothing may be started or recorded: the next daemon finds it
    as it is.
    """
    log.warning("the supervisor has died; becoming one")
    # Whoever gives an order meanwhile is obeyed by the next daemon.
    signals.hand_on()
    daemon.built.ending.hear_out()
    daemon.built.ground.engines.freeze()
    failpoint("before-exec")
    _become_supervisor(lambda: _left_behind(daemon, plan))


def _as_told(plan: dict[str, Any]) -> dict[str, Any]:
    """What the next supervisor has to know where this daemon has not begun yet: what was told to
    it, apart from children of the one that has died.
    """
    log.warning("the supervisor has died; becoming one")
    own = ("link", "gate_r", "gate_w", "ends")
    ends = {name: at for name, at in plan.get("ends", {}).items() if not name.isdecimal()}
    told = {key: value for key, value in plan.items() if key not in own}
    return {**told, "gate": plan["gate_r"], "ends": ends}


def _left_behind(daemon: Daemon, plan: dict[str, Any]) -> dict[str, Any]:
    """What the next supervisor has to know, as it is now."""
    return {
        **{key: plan[key] for key in ("lock", *supervisor.HERITAGE) if key in plan},
        "established": True,
        "last_daemon": (os.getpid(), linux.ticks()),
        "draining": daemon.built.ground.ledger.draining,
        "drain_until": daemon.built.ending.drain_until,
        "gate": plan["gate_r"],
        "unsaved": daemon.built.execution.runs.unsaved(),
        **heritage.told(daemon.built.ground.engines.heritage()),
    }


def _become_supervisor(plan: Callable[[], dict[str, Any]]) -> NoReturn:
    """As often as it takes: the jobs are our children, and nobody else can tell how they end.

    Meanwhile jobs end and a stop may be ordered, so the plan is made up anew each time.
    """
    while True:
        try:
            supervisor.become_supervisor(plan())
        except OSError as error:
            # The interpreter is being replaced by another version, for example.
            log.critical("cannot become a supervisor: %s; tried again soon", error.strerror)
            time.sleep(_RETRY_S)


if __name__ == "__main__":
    main()
