"""The verbs: what changes something, each built of what it stands on."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from jobd.contract.access import AccessConfig
from jobd.daemon.commands.bulk import Bulk
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.commands.edit import Editing
from jobd.daemon.commands.forget import ForgetLost
from jobd.daemon.commands.graph import Graphs
from jobd.daemon.commands.groups import ManageGroups
from jobd.daemon.commands.halt import Halting
from jobd.daemon.commands.hold import HoldJobs
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.commands.lost_output import LostOutput
from jobd.daemon.commands.notify import SendTest
from jobd.daemon.commands.pause import PauseJobs
from jobd.daemon.commands.progress import ReportProgress
from jobd.daemon.commands.reload import Reloading
from jobd.daemon.commands.restart import RestartJobs
from jobd.daemon.commands.resume import ResumeJobs
from jobd.daemon.commands.rm import RemoveJobs
from jobd.daemon.commands.start import StartJobs
from jobd.daemon.commands.stop import StopJobs
from jobd.daemon.commands.submit import Intake
from jobd.daemon.commands.workers import SetWorkers
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.batch import Staging
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.parts import Execution, Ground, Lifecycle, Telling
from jobd.engines.configuration import check


class Verbs(Struct, frozen=True, kw_only=True):
    """The verbs, of which each changes something, and what they share."""

    idempotency: Idempotency
    bulk: Bulk
    intake: Intake
    graphs: Graphs
    start: StartJobs
    hold: HoldJobs
    restart: RestartJobs
    stop: StopJobs
    rm: RemoveJobs
    pause: PauseJobs
    resume: ResumeJobs
    progress: ReportProgress
    editing: Editing
    workers: SetWorkers
    groups: ManageGroups
    notify: SendTest
    forget: ForgetLost
    reloading: Reloading


def build_verbs(
    ground: Ground,
    lifecycle: Lifecycle,
    execution: Execution,
    selection: Selection,
    *,
    deletion: Deletion,
    telling: Telling,
    lost: LostOutput,
    admit: Callable[[AccessConfig], object],
) -> Verbs:
    """`admit`: told who may come in from then on."""
    tables, ledger = ground.tables, ground.ledger
    jobs, event_log = tables.jobs, tables.event_log
    dependencies, settings = tables.dependencies, tables.settings
    moves, runs, pauses = lifecycle.moves, execution.runs, execution.pauses
    idempotency = Idempotency(settings, ground.writer)
    bulk = Bulk(jobs, event_log, ground.reader, selection, idempotency, ground.writer)
    groups = ManageGroups(ledger, jobs, settings, event_log, idempotency, ground.reader)
    halting = Halting(bulk, groups, idempotency)
    workers = SetWorkers(ledger, settings, event_log)
    admission = _build_admission(ground)
    building = ground, lifecycle, admission, idempotency
    intake = _build_intake(*building)
    return Verbs(
        idempotency=idempotency,
        bulk=bulk,
        intake=intake,
        graphs=Graphs(intake, tables.environments.pack),
        start=StartJobs(bulk, moves, jobs, admission),
        hold=HoldJobs(bulk, moves),
        restart=RestartJobs(bulk, moves, jobs, event_log, admission),
        stop=StopJobs(
            bulk=bulk, moves=moves, dependencies=dependencies, runs=runs,
            stop_orders=execution.stop_orders,
        ),
        rm=RemoveJobs(
            bulk, moves, dependencies, deletion, ground.notifier, telling.history.catch_up
        ),
        pause=PauseJobs(halting, moves, runs, pauses),
        resume=ResumeJobs(halting, moves, runs, pauses),
        progress=ReportProgress(jobs, runs, execution.progress_reports),
        editing=_build_editing(*building),
        workers=workers,
        reloading=_build_reloading(ground, idempotency, workers, groups, admit),
        groups=groups,
        notify=SendTest(ground.in_force, tables.deliveries, idempotency, telling.outbox.wake),
        forget=ForgetLost(lost, idempotency),
    )  # fmt: skip


def _build_reloading(
    ground: Ground,
    idempotency: Idempotency,
    workers: SetWorkers,
    groups: ManageGroups,
    admit: Callable[[AccessConfig], object],
) -> Reloading:
    return Reloading(
        usual=ground.paths.config, check=check, in_force=ground.in_force,
        idempotency=idempotency, settings=ground.tables.settings, workers=workers, groups=groups,
        notifier=ground.notifier, admit=admit,
    )  # fmt: skip


def _build_editing(
    ground: Ground, lifecycle: Lifecycle, admission: Admission, idempotency: Idempotency
) -> Editing:
    tables = ground.tables
    return Editing(
        admission=admission, ledger=ground.ledger, jobs=tables.jobs,
        dependencies=tables.dependencies, settings=tables.settings, moves=lifecycle.moves,
        idempotency=idempotency, notifier=ground.notifier,
    )  # fmt: skip


def _build_admission(ground: Ground) -> Admission:
    return Admission(
        ground.ledger,
        ground.tables.dependencies,
        workers=lambda: ground.in_force.config.daemon.workers,
        engine_refusal=ground.engines.refusal,
    )


def _build_intake(
    ground: Ground, lifecycle: Lifecycle, admission: Admission, idempotency: Idempotency
) -> Intake:
    tables = ground.tables
    staging = Staging(
        admission=admission, ledger=ground.ledger, jobs=tables.jobs, batches=tables.batches,
        environments=tables.environments, additions=lifecycle.additions,
    )  # fmt: skip
    return Intake(
        admission=admission, staging=staging, jobs=tables.jobs, batches=tables.batches,
        pack=tables.environments.pack, writer=ground.writer, idempotency=idempotency,
        notifier=ground.notifier,
    )  # fmt: skip
