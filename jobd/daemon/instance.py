"""One running instance: what it consists of, in the order of starting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jobd.contract.errors import JobdError
from jobd.contract.states import EventName
from jobd.contract.version import VERSION
from jobd.daemon import kept_settings
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.commands.lost_output import LostOutput
from jobd.daemon.compression import Packer
from jobd.daemon.handlers import Questions, build_dispatch, build_questions
from jobd.daemon.instance_files import InstanceFiles
from jobd.daemon.jobs.selection import Selection
from jobd.daemon.metrics.off import NoMetrics
from jobd.daemon.parts import Execution, Ground, Lifecycle, Telling
from jobd.daemon.queries.status import StatusQuery
from jobd.daemon.retention import Pruner
from jobd.daemon.retention_wiring import build_packer, build_pruner
from jobd.daemon.rpc.access import Access
from jobd.daemon.rpc.clients import Clients
from jobd.daemon.rpc.server import Server
from jobd.daemon.setup import Setup
from jobd.daemon.shutdown import Ending, Inbox, News
from jobd.daemon.supervisor_link import Link
from jobd.daemon.sweep import Sweep
from jobd.daemon.upkeep import Upkeep
from jobd.daemon.verbs import Verbs, build_verbs
from jobd.daemon.wiring import (
    build_execution,
    build_ground,
    build_lifecycle,
    build_metrics,
    build_notifications,
    start_writer,
)
from jobd.engines.last_boot import note_boot
from jobd.store.host_check import this_host
from jobd.store.losses import LossRecord
from jobd.system.clock import now_us
from jobd.system.failpoints import failpoint

_TELLING_S: Final = 10.0
"""Seconds that a daemon which is done stays for those who have not heard the end yet."""


def _nothing() -> None:
    pass


class Part(NamedTuple):
    """What is started in its turn, and closed in the opposite one."""

    start: Callable[[], object] = _nothing
    close: Callable[[], object] = _nothing


class Daemon:
    """Built, started and closed by the main thread, which then hears what it is told."""

    def __init__(
        self,
        setup: Setup,
        link: Link | None = None,
        log_moved: Callable[[], object] = _nothing,
        broken: Callable[[], object] = _nothing,
    ) -> None:
        """`link` None: without a supervisor (inside a test). `log_moved`: sees to the log when
        somebody has moved or deleted it. `broken`: called when nothing can be written any more,
        and memory may be untrue.

        Raises: JobdError (also where one of the directories is not ours alone), OSError.
        """
        self._broken = broken
        self._is_clean = False
        self._closing = ExitStack()
        self.files = files = InstanceFiles(setup)
        try:
            kept = kept_settings.configured(setup, files.reader)
            self._setup = setup = replace(setup, configured=kept)
            self.built = _build(setup, files, link, log_moved)
        except BaseException:
            files.close(clean=False)
            raise

    def start(self) -> None:
        """Store → recovery → server → dispatch; when this returns, clients are answered.

        Raises: JobdError, OSError: it cannot start; `close` all the same.
        """
        for part in self._parts():
            self._closing.callback(part.close)
            part.start()

    def run(self) -> News:
        """Until it is drained, to be renewed, or orphaned."""
        return self.built.ending.hear()

    def wind_up(self, *, clean: bool) -> None:
        """Dispatch → whoever waits hears the end → server → the last commit → files. The engines
        are left: what runs there may be handed over yet.

        `clean`: nothing runs any more, and no daemon follows.
        """
        self._is_clean = clean
        self._closing.close()

    def close(self, *, clean: bool) -> None:
        """As `wind_up`, and then the engines."""
        self.wind_up(clean=clean)
        self.built.ground.engines.close()

    def _parts(self) -> list[Part]:
        """In the order of starting; closed in the opposite one."""
        built = self.built
        ground, lifecycle, execution = built.ground, built.lifecycle, built.execution
        telling = built.telling.notifications
        return [
            Part(close=lambda: self.files.close(clean=self._is_clean)),
            Part(ground.timer.start, ground.timer.close),
            Part(self._take_address, built.metrics.close),
            Part(execution.signallers.start, execution.signallers.close),
            Part(execution.aftercare.start, execution.aftercare.close),
            Part(close=execution.workers.close),
            Part(self._start_writer, ground.writer.close),
            Part(self._recover),
            Part(built.metrics.count),
            Part(lambda: ground.writer.call(self._note_start), self._note_end),
            Part(partial(telling.start, ground.notifier), telling.close),
            Part(lambda: built.lost.look(fresh=self._setup.fresh)),
            # What the boot before has lost is told by now.
            Part(lambda: note_boot(self._setup.paths)),
            Part(lifecycle.delays.start, lifecycle.delays.close),
            Part(self._catch_up, ground.notifier.close),
            Part(close=ground.writes.close),
            Part(close=built.questions.followers.close),
            Part(execution.monitor.start, execution.monitor.close),
            # Nobody is answered before it is so again: they would be told that it takes jobs.
            Part(self._go_on_draining),
            Part(self._listen, lambda: built.server.close(replaced=not self._is_clean)),
            Part(close=execution.usages.close),
            Part(self._expect_clients, self._tell_the_end),
            Part(built.upkeep.start, built.upkeep.close),
            Part(execution.breaker.resume, execution.breaker.halt),
            Part(built.sweep.start),
            Part(built.pruner.start, built.pruner.close),
            Part(built.metrics.open, built.metrics.close),
            *([] if built.packer is None else [Part(built.packer.start, built.packer.close)]),
        ]

    # --- steps of the start, and their opposites ------------------------------------------------

    def _take_address(self) -> None:
        # As with the socket for others: after a crash a queue that has run goes on without.
        if self._setup.fresh:
            self.built.metrics.take_address()

    def _start_writer(self) -> None:
        built = self.built
        start_writer(
            built.ground, built.lifecycle, built.execution, built.upkeep.store_gone, self._broken
        )

    def _recover(self) -> None:
        ground = self.built.ground
        ground.writer.call(self.built.lifecycle.delays.follow_clock)
        # Before anything happens to jobs.
        self.built.telling.history.begin()
        self.built.execution.recovery.recover(
            partial(kept_settings.load_groups, self._setup, ground.ledger, ground.tables.settings)
        )
        failpoint("recovered")

    def _note_start(self) -> None:
        """In a transaction."""
        ground = self.built.ground
        self.built.lifecycle.delays.begin()
        settings = ground.tables.settings
        settings.set("host", this_host())
        settings.set("starts", str(int(settings.get("starts") or 0) + 1))
        ground.tables.event_log.add(
            None, EventName.DAEMON_STARTED, "", now_us(), b'{"version":"%s"}' % VERSION.encode()
        )
        if self._setup.fresh:
            ground.tables.settings.set("workers", str(ground.ledger.workers))

    def _note_end(self) -> None:
        log_event = self.built.ground.tables.event_log.add
        with suppress(JobdError):
            if self._is_clean:
                self.built.ground.writer.call(
                    lambda: log_event(None, EventName.DAEMON_STOPPED, "", now_us())
                )

    def _expect_clients(self) -> None:
        if not self._setup.fresh:
            self.built.server.dispatch.attendance.expect()

    def _tell_the_end(self) -> None:
        """Those who wait while a daemon is replaced are told by the next one."""
        if self._is_clean:
            self.built.questions.followers.close()
            self.built.telling.outbox.dismiss()
            self.built.ground.notifier.close()
            self.built.server.dispatch.attendance.await_end(_TELLING_S)

    def _catch_up(self) -> None:
        """Events that are on disk by now are no news to anybody."""
        ground = self.built.ground
        ground.notifier.published(ground.reader.last_event())

    def _listen(self) -> None:
        # A person who starts it is told; after a crash nobody would be there to start it again.
        self.built.server.listen(without_others=not self._setup.fresh)

    def _go_on_draining(self) -> None:
        if self._setup.draining:
            self.built.ending.go_on(self._setup.drain_until)


class Built(Struct, frozen=True, kw_only=True):
    """All that a daemon consists of, apart from its files."""

    ground: Ground
    lifecycle: Lifecycle
    execution: Execution
    ending: Ending
    verbs: Verbs
    questions: Questions
    server: Server
    upkeep: Upkeep
    sweep: Sweep
    lost: LostOutput
    metrics: NoMetrics
    pruner: Pruner
    packer: Packer | None
    telling: Telling


def _build(
    setup: Setup, files: InstanceFiles, link: Link | None, log_moved: Callable[[], object]
) -> Built:
    ground, inbox = build_ground(setup, files, link), Inbox()
    tables, reader, writer, timer = ground.tables, ground.reader, ground.writer, ground.timer
    lifecycle = build_lifecycle(ground)
    drained = partial(inbox.put, News.IDLE)
    execution = build_execution(ground, lifecycle, drained, setup.unsaved)
    ending = Ending(inbox, execution.drain, execution.stop_orders, link, timer)
    selection = Selection(reader)
    workspaces = ground.engines.workspaces
    deletion = Deletion(workspaces, ground.ledger, tables.jobs, reader, writer)
    sweep = Sweep(setup.paths, deletion, workspaces, execution.runs)
    lost = LostOutput(
        LossRecord(files.connection), workspaces, writer, ground.undo, same_boot=files.same_boot
    )
    trouble = partial(ground.trouble, sweep.damage)
    telling = build_notifications(ground, execution, selection, trouble)
    access = Access(setup.config.access)
    verbs = build_verbs(
        ground, lifecycle, execution, selection, deletion=deletion, telling=telling, lost=lost,
        admit=access.go_by,
    )  # fmt: skip
    status = StatusQuery(
        config=setup.config, paths=setup.paths, ledger=ground.ledger,
        supervised=link is not None, trouble=trouble, found=telling.found,
        gpus=execution.usages.gpus, outputs=ground.outputs,
    )  # fmt: skip
    questions = build_questions(ground, execution, selection, status, lost.of, telling)
    metrics = build_metrics(setup.config.metrics, ground, lifecycle.tally, trouble, status.failing)
    dispatch = build_dispatch(verbs, questions, ending, ground, metrics)
    clients = Clients(dispatch, access, timer, ground.engines.descriptors)
    socket = setup.config.access.socket_path
    server = Server(setup.paths.socket, socket, dispatch, clients)
    return Built(
        ground=ground, lifecycle=lifecycle, execution=execution, ending=ending, verbs=verbs,
        questions=questions, server=server, sweep=sweep, lost=lost, metrics=metrics,
        upkeep=Upkeep(
            files=files, link=link, server=server, writer=writer, timer=timer, inbox=inbox,
            log_moved=log_moved,
        ),
        telling=telling,
        pruner=build_pruner(
            setup, files, ground, lifecycle, deletion, lambda: telling.history.needs
        ),
        packer=build_packer(setup, files, ground),
    )  # fmt: skip
