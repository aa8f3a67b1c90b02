"""What a daemon consists of, in records: who needs one of these is handed that one alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from jobd.contract.paths import Paths
from jobd.core.ledger import Ledger
from jobd.core.undo import Undo
from jobd.daemon.execution.aftercare import Aftercare
from jobd.daemon.execution.breaker import Breakers
from jobd.daemon.execution.dispatcher import Again, Dispatcher
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.endings import Endings
from jobd.daemon.execution.engines import Engines
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.progress_reports import ProgressReports
from jobd.daemon.execution.recovery import Recovery
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.signaller import Signallers
from jobd.daemon.execution.stop_orders import Pauses, StopOrders
from jobd.daemon.execution.usages import Usages
from jobd.daemon.execution.worker import Workers
from jobd.daemon.jobs.additions import Additions
from jobd.daemon.jobs.delays import Delays
from jobd.daemon.jobs.finished import Finished
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.propagation import Propagation
from jobd.daemon.jobs.tally import Tally
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.daemon.metrics.figures import WorkFigures
from jobd.daemon.notifications.history import History
from jobd.daemon.notifications.notifications import Notifications
from jobd.daemon.notifications.outbox import Outbox
from jobd.daemon.queries.traffic import Traffic
from jobd.store.batches import Batches
from jobd.store.deliveries import Deliveries
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.dependencies import Dependencies
from jobd.store.environments import Environments
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.reader import Reader
from jobd.store.reserve import Reserve
from jobd.store.settings import Settings
from jobd.store.writer import Writer
from jobd.system.timer import Timer
from jobd.system.write_watch import WriteWatch


class Tables(Struct, frozen=True, kw_only=True):
    """The writing half of the store; whoever needs one of these is handed that one."""

    jobs: Jobs
    batches: Batches
    deliveries: Deliveries
    dependencies: Dependencies
    environments: Environments
    event_log: EventLog
    settings: Settings


class Ground(Struct, frozen=True, kw_only=True):
    """What all of it stands on."""

    paths: Paths
    in_force: InForce
    undo: Undo
    ledger: Ledger
    tables: Tables
    reader: Reader
    writer: Writer
    reserve: Reserve
    timer: Timer
    notifier: Notifier
    traffic: Traffic
    writes: WriteWatch
    breaker: Breakers
    engines: Engines
    work: WorkFigures | None
    """How long it takes; None: nobody is to see it."""

    @property
    def outputs(self) -> set[Path]:
        """The directories in which outputs lie: the daemon's own, and those of its engines."""
        return {self.paths.output, *self.engines.workspaces.roots()}

    @property
    def shell(self) -> str:
        """What runs shell lines: the same as long as the daemon lives."""
        return self.in_force.config.daemon.shell

    def trouble(self, damage: Callable[[], str | None]) -> str | None:
        """The worst of what is wrong, in words, and None while all is well; any thread asks.

        `damage`: what is wrong with the database.
        """
        return damage() or self.reserve.trouble or self.writer.trouble or self.breaker.trouble


class Lifecycle(Struct, frozen=True, kw_only=True):
    """What brings and moves jobs: it works in the writer's transaction, and nowhere else."""

    tally: Tally
    additions: Additions
    unsettled: Unsettled
    finished: Finished
    moves: Moves
    propagation: Propagation
    delays: Delays


class Telling(Struct, frozen=True, kw_only=True):
    """What tells others of what happens."""

    history: History
    outbox: Outbox
    found: DeliveryReader
    notifications: Notifications


class Execution(Struct, frozen=True, kw_only=True):
    """What starts jobs, sees to them and records their ends."""

    runs: Runs
    drain: Drain
    signallers: Signallers
    stop_orders: StopOrders
    pauses: Pauses
    progress_reports: ProgressReports
    monitor: Monitor
    aftercare: Aftercare
    endings: Endings
    breaker: Breakers
    workers: Workers
    again: Again
    dispatcher: Dispatcher
    recovery: Recovery
    usages: Usages
