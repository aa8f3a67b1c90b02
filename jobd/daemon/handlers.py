"""What answers each request: the verbs are listed, and the questions built and listed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps

from msgspec import Struct

from jobd.contract.call import Call
from jobd.contract.models import (
    Configuration,
    Edit,
    Events,
    Forget,
    Graph,
    Groups,
    History,
    Hold,
    List,
    Metrics,
    Notifications,
    Notify,
    Output,
    Pause,
    Progress,
    Reload,
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
    View,
    Wait,
    Workers,
)
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.metrics.off import NoMetrics
from jobd.daemon.metrics.timing import timed
from jobd.daemon.parts import Execution, Ground, Telling
from jobd.daemon.queries.configuration import ConfigurationQuery
from jobd.daemon.queries.crowd import Crowd
from jobd.daemon.queries.events import EventsQuery
from jobd.daemon.queries.explain_facts import Inquiry
from jobd.daemon.queries.followers import Followers
from jobd.daemon.queries.history import HistoryQuery
from jobd.daemon.queries.list import ListQuery
from jobd.daemon.queries.metrics import MetricsQuery
from jobd.daemon.queries.notifications import NotificationsQuery
from jobd.daemon.queries.output import OutputQuery
from jobd.daemon.queries.redaction import RedactedViews, delivery_for_viewers
from jobd.daemon.queries.show import ShowQuery
from jobd.daemon.queries.status import StatusQuery
from jobd.daemon.queries.views import JobViews, Views
from jobd.daemon.queries.wait import WaitQuery
from jobd.daemon.queries.written import Written
from jobd.daemon.rpc.access import login
from jobd.daemon.rpc.dispatch import Dispatch, Handler
from jobd.daemon.shutdown import Ending
from jobd.daemon.verbs import Verbs
from jobd.store.reserve import Reserve


def changing(verbs: Verbs, reserve: Reserve) -> dict[type[Request], Handler]:
    """On a full disk only what makes room is done, and what was done before is answered."""
    return {
        kind: handle if kind.about.makes_room else _not_on_reserve(verbs, reserve, handle)
        for kind, handle in _changing(verbs).items()
    }


def _not_on_reserve(verbs: Verbs, reserve: Reserve, handle: Handler) -> Handler:
    @wraps(handle)
    def handled(request: Request, call: Call) -> View:
        if reserve.in_use and not request.only_looks and not verbs.idempotency.knows(call.id):
            reserve.refuse()
        return handle(request, call)

    return handled


def _changing(verbs: Verbs) -> dict[type[Request], Handler]:
    as_one = verbs.idempotency.as_one
    return {
        Submit: verbs.intake.submit,
        Graph: verbs.graphs.submit,
        Start: verbs.start.start,
        Hold: verbs.hold.hold,
        Restart: verbs.restart.restart,
        Stop: verbs.stop.stop,
        Rm: verbs.rm.rm,
        Pause: verbs.pause.pause,
        Resume: verbs.resume.resume,
        Progress: as_one(verbs.progress.progress),
        Edit: verbs.editing.edit,
        Workers: as_one(verbs.workers.workers),
        Groups: verbs.groups.groups,
        Notify: verbs.notify.notify,
        Forget: verbs.forget.forget,
        Reload: verbs.reloading.reload,
    }


class Queries(Struct, frozen=True, kw_only=True):
    """The questions whose answers are rows of the store, as they are shown to one role."""

    list: ListQuery
    show: ShowQuery
    events: EventsQuery
    wait: WaitQuery
    history: HistoryQuery


def build_queries(
    ground: Ground,
    selection: Selection,
    views: Views,
    followers: Followers,
    written: Written,
    crowd: Crowd,
    *,
    keeping: bool,
) -> Queries:
    """`views`: rows as those who ask may see them.

    `keeping`: jobs that they wait for are not removed before they have been told.
    """
    reader, ledger, notifier = ground.reader, ground.ledger, ground.notifier
    inquiry = Inquiry(ledger, ground.engines.placement, reader)
    shown = JobViews(views, inquiry, reader)
    return Queries(
        list=ListQuery(
            reader, ledger, notifier, selection, inquiry, shown, traffic=ground.traffic
        ),
        show=ShowQuery(reader, inquiry, views, shown),
        events=EventsQuery(
            reader=reader, ledger=ledger, notifier=notifier, views=views, followers=followers,
            written=written, crowd=crowd, traffic=ground.traffic, owner=login(os.getuid()),
        ),
        wait=WaitQuery(
            workspaces=ground.engines.workspaces, ledger=ledger, reader=reader, selection=selection,
            notifier=notifier, shown=shown, keeping=keeping,
        ),
        history=HistoryQuery(reader),
    )  # fmt: skip


def looking(
    queries: Queries, outputs: OutputQuery, messages: NotificationsQuery, status: Handler
) -> dict[type[Request], Handler]:
    return {
        Notifications: messages.notifications,
        List: queries.list.list,
        Show: queries.show.show,
        Output: outputs.output,
        Events: queries.events.events,
        Wait: queries.wait.wait,
        History: queries.history.history,
        Status: status,
    }


class Questions(Struct, frozen=True, kw_only=True):
    """What only looks: for those who may do everything, and for viewers."""

    queries: Queries
    redacted: Queries
    outputs: OutputQuery
    messages: NotificationsQuery
    redacted_messages: NotificationsQuery
    status: StatusQuery
    configuration: ConfigurationQuery
    followers: Followers


def build_questions(
    ground: Ground,
    execution: Execution,
    selection: Selection,
    status: StatusQuery,
    lost: Callable[[int], str | None],
    telling: Telling,
) -> Questions:
    """`lost`: what a power cut took of a job's output, in words."""
    workspaces, runs = ground.engines.workspaces, execution.runs
    why_stuck, used_by = runs.why_stuck, execution.usages.of
    shown = workspaces, ground.shell, runs.ran_as, runs.left_of, why_stuck, used_by
    followers = Followers(ground.notifier, ground.reader, ground.writes)
    crowd = Crowd(ground.timer)
    ground.notifier.subscribe(crowd)
    told = followers, Written(workspaces, ground.ledger, runs.attempt_of), crowd
    inquiry = Inquiry(ground.ledger, ground.engines.placement, ground.reader)
    return Questions(
        queries=build_queries(ground, selection, Views(*shown), *told, keeping=True),
        # A viewer changes nothing, and so keeps nothing from being deleted either.
        redacted=build_queries(ground, selection, RedactedViews(*shown), *told, keeping=False),
        outputs=OutputQuery(workspaces, ground.ledger, ground.reader, followers, lost, inquiry.why),
        messages=NotificationsQuery(telling.found, telling.outbox),
        redacted_messages=NotificationsQuery(telling.found, telling.outbox, delivery_for_viewers),
        status=status,
        configuration=ConfigurationQuery(ground.paths.config, ground.in_force, ground.ledger),
        followers=followers,
    )


def build_dispatch(
    verbs: Verbs, questions: Questions, ending: Ending, ground: Ground, metrics: NoMetrics
) -> Dispatch:
    handlers: dict[type[Request], Handler] = {
        **changing(verbs, ground.reserve),
        **looking(
            questions.queries, questions.outputs, questions.messages, questions.status.status
        ),
        Configuration: questions.configuration.configuration,
        Shutdown: ending.shutdown,
        Renew: ending.renew,
        Metrics: MetricsQuery(metrics.text).metrics,
    }
    for_viewers = looking(
        questions.redacted,
        questions.outputs,
        questions.redacted_messages,
        questions.status.status_for_viewers,
    )
    if ground.work is not None:
        handlers, for_viewers = (timed(each, ground.work) for each in (handlers, for_viewers))
    return Dispatch(handlers, for_viewers, ground.timer)
