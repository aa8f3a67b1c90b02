"""The composition root: each object is handed the ones that it stands on, and is complete.

Built from below: the writer is there first and is started last, when all that it calls is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from jobd.contract.configured import file_of
from jobd.contract.errors import JobdError
from jobd.contract.watching import MetricsConfig
from jobd.core.gpus import Devices
from jobd.core.ledger import Ledger
from jobd.core.placement import Placement
from jobd.core.undo import Undo
from jobd.daemon import kept_settings
from jobd.daemon.execution import engines
from jobd.daemon.execution.aftercare import Aftercare
from jobd.daemon.execution.breaker import Breakers
from jobd.daemon.execution.dispatcher import Again, Commits, Dispatcher, Trouble
from jobd.daemon.execution.drain import Drain
from jobd.daemon.execution.endings import Endings
from jobd.daemon.execution.launch import Launcher
from jobd.daemon.execution.monitor import Monitor
from jobd.daemon.execution.progress_reports import ProgressReports
from jobd.daemon.execution.recovery import Recovery, Settling
from jobd.daemon.execution.runs import Runs
from jobd.daemon.execution.signaller import Signallers
from jobd.daemon.execution.stop_orders import Pauses, StopOrders
from jobd.daemon.execution.usages import Usages
from jobd.daemon.execution.worker import Workers
from jobd.daemon.instance_files import InstanceFiles
from jobd.daemon.jobs.additions import Additions
from jobd.daemon.jobs.delays import Delays
from jobd.daemon.jobs.finished import Finished
from jobd.daemon.jobs.in_force import InForce
from jobd.daemon.jobs.moves import Moves
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.propagation import Propagation
from jobd.daemon.jobs.readiness import Readiness
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.jobs.tally import Tally
from jobd.daemon.jobs.unsettled import Unsettled
from jobd.daemon.metrics.figures import JobFigures, WorkFigures
from jobd.daemon.metrics.health import Health
from jobd.daemon.metrics.off import NoMetrics
from jobd.daemon.notifications.gatherings import Gatherings
from jobd.daemon.notifications.history import History
from jobd.daemon.notifications.notifications import Notifications
from jobd.daemon.notifications.orders import Orders
from jobd.daemon.notifications.outbox import Outbox
from jobd.daemon.notifications.own_queue import OwnQueue
from jobd.daemon.notifications.reading import Reading
from jobd.daemon.notifications.stuck import StuckWatch
from jobd.daemon.parts import Execution, Ground, Lifecycle, Tables, Telling
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.daemon.queries.list import ListQuery
from jobd.daemon.queries.traffic import Traffic
from jobd.daemon.queries.views import JobViews, Views
from jobd.daemon.setup import Setup
from jobd.daemon.supervisor_link import Link
from jobd.engines.base import Context
from jobd.engines.configuration import check, without_metrics
from jobd.outputs.disk_usage import highest_job
from jobd.store.batches import Batches
from jobd.store.deliveries import Deliveries
from jobd.store.delivery_reader import DeliveryReader
from jobd.store.dependencies import Dependencies
from jobd.store.environments import Environments
from jobd.store.event_log import EventLog
from jobd.store.jobs import Jobs
from jobd.store.settings import Settings
from jobd.store.writer import Writer
from jobd.system.clock import boot_us
from jobd.system.rounds import Bell
from jobd.system.timer import Timer
from jobd.system.write_watch import WriteWatch


def build_ground(setup: Setup, files: InstanceFiles, link: Link | None) -> Ground:
    """Raises: JobdError (there is no such engine), OSError."""
    paths, config, undo, timer = setup.paths, setup.config.daemon, Undo(), Timer()
    in_force = InForce(setup.configured, undo)
    reader = files.reader
    gpus, groups = setup.config.gpus, setup.config.groups
    placement = Placement(config.engine, {n: one.engine for n, one in groups.items() if one.engine})
    work = WorkFigures() if setup.config.metrics.on else None
    timed = () if work is None else (work.committed,)
    writer = Writer(files.connection, undo, files.look, *timed)
    check(setup.config, file_of(paths.config, setup.configured.origin))
    running = {row.engine for row in reader.running() if row.engine}
    breaker = Breakers({*setup.config.engines(), *running}, placement, timer, writer.nudge)
    loaded = engines.load(
        placement, setup.config.engines(), running, partial(_context, setup, files, link, breaker)
    )
    ledger = Ledger(
        undo,
        workers=kept_settings.workers(setup, reader),
        # A database that was restored from an older copy does not know all jobs that there were;
        # their output is not to be taken for that of others.
        next_id=max(reader.last_id(), highest_job({paths.output, *loaded.workspaces.roots()})) + 1,
        devices=Devices(gpus.devices, gpus.per_device),
        moves=boot_us(),
    )
    notifier, traffic = Notifier(), Traffic()
    notifier.subscribe(traffic)
    return Ground(
        paths=paths, in_force=in_force, undo=undo, ledger=ledger,
        tables=build_tables(files.connection, lambda: in_force.config.daemon.env_exclude),
        reader=reader, writer=writer, reserve=files.reserve, timer=timer, notifier=notifier,
        traffic=traffic, writes=WriteWatch(), breaker=breaker, engines=loaded, work=work,
    )  # fmt: skip


def _context(
    setup: Setup, files: InstanceFiles, link: Link | None, breaker: Breakers, engine: str
) -> Context:
    return Context(
        name=engine, paths=setup.paths, workspace=files.workspace,
        settings=setup.config.engine.get(engine, {}), link=link,
        heritage=setup.heritage(engine), back=breaker[engine].back,
    )  # fmt: skip


def build_tables(connection: Any, env_exclude: Callable[[], Sequence[str]]) -> Tables:  # noqa: ANN401 - below
    """`connection`: what `open_writer` gives. `env_exclude`: names that never get to the disk."""
    environments = Environments(connection, env_exclude)
    return Tables(
        jobs=Jobs(connection, environments),
        batches=Batches(connection, environments),
        deliveries=Deliveries(connection, environments),
        dependencies=Dependencies(connection),
        environments=environments,
        event_log=EventLog(connection),
        settings=Settings(connection),
    )


def build_lifecycle(ground: Ground) -> Lifecycle:
    tables = ground.tables
    readiness = Readiness(ground.ledger, tables.jobs, tables.batches, ground.undo)
    unsettled = Unsettled(tables.dependencies, ground.undo)
    finished = Finished(unsettled, ground.undo, ground.notifier)
    tally = Tally(ground.ledger, ground.undo)
    additions = Additions(
        ledger=ground.ledger, batches=tables.batches, event_log=tables.event_log,
        dependencies=tables.dependencies, readiness=readiness, unsettled=unsettled, tally=tally,
    )  # fmt: skip
    moves = Moves(
        ledger=ground.ledger, jobs=tables.jobs, batches=tables.batches,
        event_log=tables.event_log, dependencies=tables.dependencies, readiness=readiness,
        unsettled=unsettled, finished=finished, tally=tally,
    )  # fmt: skip
    return Lifecycle(
        tally=tally,
        additions=additions,
        unsettled=unsettled,
        finished=finished,
        moves=moves,
        propagation=Propagation(tables.jobs, tables.dependencies, readiness, moves, unsettled),
        delays=Delays(
            jobs=tables.jobs, deliveries=tables.deliveries, event_log=tables.event_log,
            settings=tables.settings, readiness=readiness, writer=ground.writer,
            timer=ground.timer,
        ),
    )  # fmt: skip


def build_execution(
    ground: Ground, lifecycle: Lifecycle, drained: Callable[[], object], unsaved: Mapping[str, int]
) -> Execution:
    """`drained`: called when a daemon that is shutting down has nothing left to wait for.

    `unsaved`: as `Setup.unsaved`.
    """
    tables, writer, timer = ground.tables, ground.writer, ground.timer
    paths, reader, in_force = ground.paths, ground.reader, ground.in_force
    config, runs = in_force.config.daemon, Runs(ground.undo)
    drain = Drain(ground.ledger, runs, writer, drained)
    loaded, breaker = ground.engines, ground.breaker
    signallers, pauses, stop_orders = _build_orders(ground, runs)
    progress_reports = ProgressReports(lifecycle.moves, runs, writer, ground.reserve)
    monitor = Monitor(
        loaded, runs, progress_reports.post, ground.writes,
        lambda: in_force.config.daemon.max_output,
    )  # fmt: skip
    launcher = Launcher(paths, loaded, reader, ground.ledger.devices, shell=config.shell)
    aftercare = Aftercare(loaded, config.sync_output)
    endings = Endings(
        moves=lifecycle.moves, runs=runs, writer=writer, monitor=monitor,
        progress_reports=progress_reports, aftercare=aftercare, timer=timer, drain=drain,
    )  # fmt: skip
    workers = Workers(
        engines=loaded, launcher=launcher, stop_orders=stop_orders, pauses=pauses,
        endings=endings, breaker=breaker, monitor=monitor, timer=timer,
    )  # fmt: skip
    again = Again(writer, timer)
    commits = Commits(workers, ground.notifier, again, ground.reserve, lifecycle.delays, drain)
    dispatcher = Dispatcher(
        event_log=tables.event_log, ledger=ground.ledger, moves=lifecycle.moves,
        propagation=lifecycle.propagation, runs=runs, breaker=breaker, engines=loaded,
        reserve=ground.reserve, commits=commits,
    )  # fmt: skip
    settling = Settling(writer, workers, endings)
    recovery = Recovery(
        reader=reader, writer=writer, batches=tables.batches, ledger=ground.ledger,
        unsettled=lifecycle.unsettled, runs=runs, engines=loaded, breaker=breaker,
        settling=settling, unsaved=unsaved,
    )  # fmt: skip
    return Execution(
        runs=runs, drain=drain, signallers=signallers, stop_orders=stop_orders, pauses=pauses,
        progress_reports=progress_reports, monitor=monitor, aftercare=aftercare,
        endings=endings, breaker=breaker, workers=workers, again=again, dispatcher=dispatcher,
        recovery=recovery, usages=Usages(runs, loaded),
    )  # fmt: skip


def _build_orders(ground: Ground, runs: Runs) -> tuple[Signallers, Pauses, StopOrders]:
    signallers = Signallers(ground.engines, ground.timer)
    stop_orders = StopOrders(
        ground.tables.jobs, runs, ground.undo, ground.writer, signallers, timer=ground.timer,
        grace=lambda: float(ground.in_force.config.daemon.grace),
    )  # fmt: skip
    return signallers, Pauses(ground.undo, signallers), stop_orders


def build_notifications(
    ground: Ground,
    execution: Execution,
    selection: Selection,
    trouble: Callable[[], str | None],
) -> Telling:
    """`trouble`: the worst of what is wrong, in words."""
    in_force, reader, workspaces, runs = (
        ground.in_force, ground.reader, ground.engines.workspaces, execution.runs
    )  # fmt: skip
    found, bell = DeliveryReader(reader), Bell()
    views = Views(
        workspaces, ground.shell, runs.ran_as, runs.left_of, runs.why_stuck, execution.usages.of
    )
    inquiry = Inquiry(ground.ledger, ground.engines.placement, reader)
    shown = JobViews(views, inquiry, reader)
    outbox = Outbox(
        deliveries=ground.tables.deliveries, found=found, writer=ground.writer,
        reserve=ground.reserve, orders=Orders(ground.paths, reader), wake=bell.ring,
    )  # fmt: skip
    queue = OwnQueue(
        ListQuery(
            reader, ground.ledger, ground.notifier, selection, inquiry, shown,
            traffic=ground.traffic,
        ),
        ground.ledger, reader,
        trouble,
    )  # fmt: skip
    history = History(
        in_force=in_force,
        reading=Reading(in_force, reader, found, shown, workspaces),
        gatherings=Gatherings(reader, found, shown, workspaces),
        stuck=StuckWatch(
            in_force, queue.stuck, queue.is_at_work, reader=reader, found=found, shown=shown
        ),
        deliveries=ground.tables.deliveries, found=found, writer=ground.writer,
        notifier=ground.notifier,
    )  # fmt: skip
    return Telling(
        history=history, outbox=outbox, found=found,
        notifications=Notifications(history, outbox, bell),
    )  # fmt: skip


def build_metrics(
    config: MetricsConfig,
    ground: Ground,
    tally: Tally,
    trouble: Callable[[], str | None],
    failing: Callable[[], tuple[int, object]],
) -> NoMetrics:
    """`trouble`: the worst of what is wrong, in words; `failing`: how many messages are not
    delivered, and why.

    Raises: JobdError (they are wanted, and what makes them is not installed).
    """
    if ground.work is None:
        return NoMetrics()
    try:
        # A large library, which a daemon without metrics does without.
        from jobd.daemon.metrics.families import Exposition
        from jobd.daemon.metrics.metrics import Metrics
    except ModuleNotFoundError as error:
        raise JobdError(without_metrics(error.name)) from None
    figures = JobFigures(ground.undo)
    tally.subscribe(figures)
    health = Health(
        state=ground.paths.data, ledger=ground.ledger, writer=ground.writer,
        reserve=ground.reserve, work=ground.work, error=trouble,
    )  # fmt: skip
    exposition = Exposition(
        jobs=figures, work=ground.work, health=health, ledger=ground.ledger, reader=ground.reader,
        database=ground.paths.database, engine=ground.in_force.config.daemon.engine,
        failing=failing,
    )  # fmt: skip
    return Metrics(
        config, figures=figures, exposition=exposition, health=health, notifier=ground.notifier,
        writer=ground.writer, timer=ground.timer, read=ground.tables.batches.counts,
    )  # fmt: skip


def start_writer(
    ground: Ground,
    lifecycle: Lifecycle,
    execution: Execution,
    store_gone: Callable[[], object],
    broken: Callable[[], object],
) -> None:
    """Last of all: from here on transactions happen."""
    trouble = Trouble(ground.tables.event_log, execution.again, execution.drain, store_gone)
    ground.writer.start(execution.dispatcher.fill, trouble.hear, broken, lifecycle.finished.tell)
