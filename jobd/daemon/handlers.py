"""What answers each request: the verbs and the questions, built and listed."""

from __future__ import annotations

from functools import partial

from msgspec import Struct

from jobd.contract.models import (
    Edit,
    Events,
    Graph,
    Groups,
    Hold,
    List,
    Output,
    Pause,
    Progress,
    Renew,
    Request,
    Restart,
    Resume,
    Rm,
    Show,
    Shutdown,
    Start,
    Status,
    Stop,
    Submit,
    Wait,
    Workers,
)
from jobd.daemon.commands.bulk import Bulk
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.commands.edit import Editing
from jobd.daemon.commands.graph import Graphs
from jobd.daemon.commands.groups import Shares
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.commands.manager import Manager
from jobd.daemon.commands.pause import Halting
from jobd.daemon.commands.progress import ReportProgress
from jobd.daemon.commands.submit import Intake
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.parts import Execution, Ground, Lifecycle
from jobd.daemon.queries.followers import Followers
from jobd.daemon.queries.output import OutputQuery
from jobd.daemon.queries.queries import Queries
from jobd.daemon.queries.redaction import RedactedViews
from jobd.daemon.queries.status import StatusQuery
from jobd.daemon.queries.views import Views
from jobd.daemon.rpc.dispatch import Dispatch, Handler
from jobd.daemon.shutdown import Ending


class Commands(Struct, frozen=True, kw_only=True):
    """The verbs, of which each changes something."""

    intake: Intake
    graphs: Graphs
    manager: Manager
    shares: Shares
    editing: Editing
    halting: Halting
    reporting: ReportProgress
    idempotency: Idempotency


def build_commands(
    ground: Ground,
    lifecycle: Lifecycle,
    execution: Execution,
    selection: Selection,
    deletion: Deletion,
) -> Commands:
    tables, ledger, reader, writer = ground.tables, ground.ledger, ground.reader, ground.writer
    jobs, batches, moves, runs = tables.jobs, tables.batches, lifecycle.moves, execution.runs
    idempotency = Idempotency(tables.settings, writer)
    admission = Admission(
        ledger, batches, tables.environments, tables.dependencies, writer,
        workers=ground.config.workers,
    )  # fmt: skip
    bulk = Bulk(jobs, tables.event_log, reader, selection, idempotency)
    shares = Shares(ledger, jobs, tables.settings, tables.event_log, idempotency)
    return Commands(
        intake=Intake(admission, jobs, batches, moves, writer, idempotency),
        graphs=Graphs(
            admission=admission, jobs=jobs, batches=batches, environments=tables.environments,
            moves=moves, writer=writer, idempotency=idempotency,
        ),
        manager=Manager(
            jobs=jobs, dependencies=tables.dependencies, moves=moves, reader=reader, writer=writer,
            bulk=bulk, runs=runs, stop_orders=execution.stop_orders, notifier=ground.notifier,
            deletion=deletion,
        ),
        shares=shares,
        editing=Editing(ledger, jobs, tables.dependencies, moves),
        halting=Halting(
            moves=moves, runs=runs, pauses=execution.pauses, shares=shares, bulk=bulk,
            idempotency=idempotency,
        ),
        reporting=ReportProgress(jobs, runs, execution.reports),
        idempotency=idempotency,
    )  # fmt: skip


def changing(commands: Commands) -> dict[type[Request], Handler]:
    manager, shares, halting = commands.manager, commands.shares, commands.halting
    as_one = commands.idempotency.as_one
    return {
        Submit: commands.intake.submit,
        Graph: commands.graphs.submit,
        Start: manager.start,
        Hold: manager.hold,
        Stop: manager.stop,
        Restart: manager.restart,
        Rm: manager.rm,
        Progress: as_one(commands.reporting.progress),
        Pause: halting.pause,
        Resume: halting.resume,
        Edit: as_one(commands.editing.edit),
        Workers: as_one(shares.workers),
        Groups: shares.groups,
    }


def looking(
    queries: Queries, outputs: OutputQuery, status: Handler
) -> dict[type[Request], Handler]:
    return {
        List: queries.list,
        Show: queries.show,
        Output: outputs.output,
        Events: queries.events,
        Wait: queries.wait,
        Status: status,
    }


class Questions(Struct, frozen=True, kw_only=True):
    """What only looks: for those who may do everything, and for viewers."""

    queries: Queries
    redacted: Queries
    outputs: OutputQuery
    status: StatusQuery
    followers: Followers


def build_questions(
    ground: Ground, execution: Execution, selection: Selection, status: StatusQuery
) -> Questions:
    shown = ground.paths, ground.config.shell, execution.runs.pid_of, execution.runs.left_of
    queries = partial(
        Queries, workspace=ground.workspace, ledger=ground.ledger, reader=ground.reader,
        selection=selection, notifier=ground.notifier,
    )  # fmt: skip
    followers = Followers(ground.notifier, ground.reader)
    return Questions(
        queries=queries(views=Views(*shown), keeping=True),
        # A viewer changes nothing, and so keeps nothing from being deleted either.
        redacted=queries(views=RedactedViews(*shown), keeping=False),
        outputs=OutputQuery(ground.workspace, ground.ledger, ground.reader, followers),
        status=status,
        followers=followers,
    )


def build_dispatch(commands: Commands, questions: Questions, ending: Ending) -> Dispatch:
    handlers: dict[type[Request], Handler] = {
        **changing(commands),
        **looking(questions.queries, questions.outputs, questions.status.status),
        Shutdown: ending.shutdown,
        Renew: ending.renew,
    }
    for_viewers = looking(
        questions.redacted, questions.outputs, questions.status.status_for_viewers
    )
    return Dispatch(handlers, for_viewers)
