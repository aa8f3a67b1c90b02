"""The composition root of what jobs need: each object is handed the ones that it stands on.

Built from below: the writer is there first and is started last, when all that it calls is there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from jobd.contract.config import DaemonConfig
from jobd.contract.paths import Paths
from jobd.core.ledger import Ledger
from jobd.core.undo import Undo
from jobd.daemon.execution.breaker import Breaker
from jobd.daemon.execution.dispatcher import Commits, Dispatcher, Trouble
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.endings import Endings
from jobd.daemon.execution.launch import Launcher
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.recovery import Recovery
from jobd.daemon.execution.runs import Reports, Runs
from jobd.daemon.execution.signaller import Signaller
from jobd.daemon.execution.stop_orders import Pauses, StopOrders
from jobd.daemon.execution.worker import Workers
from jobd.daemon.jobs.delays import Delays
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.propagation import Propagation
from jobd.daemon.jobs.readiness import Readiness
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.engines.base import Engine
from jobd.outputs.workspace import Workspace
from jobd.store.batches import Batches
from jobd.store.dependencies import Dependencies
from jobd.store.environments import Environments
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.settings import Settings
from jobd.store.writer import Writer
from jobd.system.timer import Timer


class Tables(Struct, frozen=True, kw_only=True):
    """The writing half of the store; whoever needs one of these is handed that one."""

    jobs: Jobs
    batches: Batches
    dependencies: Dependencies
    environments: Environments
    event_log: EventLog
    settings: Settings


class Ground(Struct, frozen=True, kw_only=True):
    """What all of it stands on."""

    paths: Paths
    workspace: Workspace
    config: DaemonConfig
    undo: Undo
    ledger: Ledger
    tables: Tables
    reader: Reader
    writer: Writer
    timer: Timer
    notifier: Notifier
    engine: Engine


class Lifecycle(Struct, frozen=True, kw_only=True):
    """What moves jobs: it works in the writer's transaction, and nowhere else."""

    unsettled: Unsettled
    moves: Moves
    propagation: Propagation
    delays: Delays


class Execution(Struct, frozen=True, kw_only=True):
    """What starts jobs, sees to them and records their ends."""

    runs: Runs
    drain: Drain
    signaller: Signaller
    stop_orders: StopOrders
    pauses: Pauses
    reports: Reports
    monitor: Monitor
    launcher: Launcher
    endings: Endings
    breaker: Breaker
    workers: Workers
    dispatcher: Dispatcher
    recovery: Recovery


def build_tables(connection: Any, env_exclude: Sequence[str]) -> Tables:  # noqa: ANN401 - below
    """`connection`: what `open_writer` gives. `env_exclude`: names that never get to the disk."""
    environments = Environments(connection, env_exclude)
    return Tables(
        jobs=Jobs(connection, environments),
        batches=Batches(connection, environments),
        dependencies=Dependencies(connection),
        environments=environments,
        event_log=EventLog(connection),
        settings=Settings(connection),
    )


def build_lifecycle(ground: Ground) -> Lifecycle:
    tables = ground.tables
    readiness = Readiness(ground.ledger, tables.jobs, tables.batches, ground.undo)
    unsettled = Unsettled(tables.dependencies, ground.undo)
    moves = Moves(
        ledger=ground.ledger, jobs=tables.jobs, batches=tables.batches,
        event_log=tables.event_log, dependencies=tables.dependencies, readiness=readiness,
        unsettled=unsettled,
    )  # fmt: skip
    return Lifecycle(
        unsettled=unsettled,
        moves=moves,
        propagation=Propagation(tables.jobs, tables.dependencies, readiness, moves, unsettled),
        delays=Delays(tables.jobs, tables.settings, readiness, ground.writer, ground.timer),
    )


def build_execution(
    ground: Ground, lifecycle: Lifecycle, drained: Callable[[], object]
) -> Execution:
    """`drained`: called when a daemon that is shutting down has nothing left to wait for."""
    tables, writer, timer = ground.tables, ground.writer, ground.timer
    paths, config, undo, reader = ground.paths, ground.config, ground.undo, ground.reader
    runs = Runs(undo)
    drain = Drain(ground.ledger, runs, writer, drained)
    signaller = Signaller(ground.engine.signal, timer)
    pauses = Pauses(undo, signaller)
    stop_orders = StopOrders(
        tables.jobs, runs, undo, writer, signaller, timer=timer, grace=float(config.grace)
    )
    reports = Reports(lifecycle.moves, runs, writer)
    monitor = Monitor(ground.workspace, runs, reports.post, config.max_output)
    launcher = Launcher(
        paths, ground.workspace, reader, monitor, ground.ledger.devices, shell=config.shell
    )
    endings = Endings(
        jobs=tables.jobs, moves=lifecycle.moves, runs=runs, writer=writer, monitor=monitor,
        reports=reports, launcher=launcher, notifier=ground.notifier, timer=timer, drain=drain,
    )  # fmt: skip
    breaker = Breaker(timer, writer.nudge)
    workers = Workers(
        engine=ground.engine, launcher=launcher, stop_orders=stop_orders, pauses=pauses,
        endings=endings, breaker=breaker, monitor=monitor, timer=timer,
    )  # fmt: skip
    commits = Commits(workers, ground.notifier, writer, lifecycle.delays, drain)
    dispatcher = Dispatcher(
        event_log=tables.event_log, ledger=ground.ledger, moves=lifecycle.moves,
        propagation=lifecycle.propagation, runs=runs, breaker=breaker, commits=commits,
        host=socket.gethostname(),
    )  # fmt: skip
    recovery = Recovery(
        reader=reader, writer=writer, batches=tables.batches, ledger=ground.ledger,
        moves=lifecycle.moves, unsettled=lifecycle.unsettled, runs=runs,
        engine=ground.engine, workers=workers, endings=endings,
    )  # fmt: skip
    return Execution(
        runs=runs, drain=drain, signaller=signaller, stop_orders=stop_orders, pauses=pauses,
        reports=reports, monitor=monitor, launcher=launcher, endings=endings, breaker=breaker,
        workers=workers, dispatcher=dispatcher, recovery=recovery,
    )  # fmt: skip


def start_writer(
    ground: Ground,
    execution: Execution,
    store_gone: Callable[[], object],
    broken: Callable[[], object],
) -> None:
    """Last of all: from here on transactions happen."""
    trouble = Trouble(
        ground.tables.event_log, ground.writer, ground.timer, execution.drain, store_gone
    )
    ground.writer.start(execution.dispatcher.fill, trouble.hear, broken)
