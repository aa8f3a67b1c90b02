"""Pruner and packer, which keep what is left of jobs small, each built of what it stands on."""

from __future__ import annotations

from collections.abc import Callable

from jobd.core.retention import policy_of
from jobd.daemon.commands.deletion import Deletion
from jobd.daemon.compression import Packer
from jobd.daemon.instance_files import InstanceFiles
from jobd.daemon.parts import Ground, Lifecycle
from jobd.daemon.retention import Pruner
from jobd.daemon.retention_steps import FreePages, OldEvents, OldJobs, OldPast, Stock
from jobd.daemon.setup import Setup
from jobd.store.retention import Retained


def build_pruner(
    setup: Setup,
    files: InstanceFiles,
    ground: Ground,
    lifecycle: Lifecycle,
    deletion: Deletion,
    needed: Callable[[], int | None],
) -> Pruner:
    """Before the writer starts: what finished jobs there are is counted in its connection.

    `needed`: the first event of the history that has to stay; None: any may go.
    """
    tables, reader, writer = ground.tables, ground.reader, ground.writer
    retained, policy = Retained(files.connection), policy_of(setup.config.retention)
    old_jobs, old_events = None, None
    if policy:
        old_jobs = OldJobs(
            stock=Stock(policy, ground.ledger, retained, writer), jobs=tables.jobs,
            dependencies=tables.dependencies, moves=lifecycle.moves, retained=retained,
            reader=reader, writer=writer, notifier=ground.notifier, deletion=deletion,
            needed=needed,
        )  # fmt: skip
    if most := setup.config.retention.events:
        old_events = OldEvents(most, needed, ground.notifier, retained, reader, writer)
    most_past = setup.config.retention.max_history
    old_past = OldPast(most_past, retained, reader, writer) if most_past else None
    pages = FreePages(ground.paths.database, retained, reader, writer)
    return Pruner(old_jobs, old_events, old_past, pages, ground.notifier)


def build_packer(setup: Setup, files: InstanceFiles, ground: Ground) -> Packer | None:
    """None: outputs stay as they were written."""
    age = setup.config.retention.compress_after
    if not age:
        return None
    return Packer(float(age), files.workspace, ground.ledger, ground.reader, ground.notifier)
