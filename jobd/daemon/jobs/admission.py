"""Jobs that come, or change: whether the queue can take them, and what they wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from jobd.contract.errors import NotFound, Refused, ShuttingDown
from jobd.contract.models import MAX_PARENTS, Lack, Options, Submitted
from jobd.contract.ranges import Ranges
from jobd.contract.states import Resource
from jobd.contract.wording import counted
from jobd.core import fit
from jobd.core.ledger import Ledger, Share
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs.validation import check_at
from jobd.store.dependencies import Dependencies
from jobd.store.records import Parent
from jobd.system.clock import now_us

_TOO_MANY_PARENTS: Final = (
    f"more than {MAX_PARENTS:,} jobs; let it wait for jobs that wait for a part of them each"
)


class Admission:
    """Called by the writer's thread alone, inside its transaction. It changes nothing."""

    def __init__(
        self,
        ledger: Ledger,
        dependencies: Dependencies,
        *,
        workers: Callable[[], int],
        engine_refusal: Callable[[str, Sequence[str]], str | None],
    ) -> None:
        """`workers`: as configured; with fewer just now, a job may wait for them to come back.

        `engine_refusal`: told a group and options for the engine that its jobs run on; says at
        once why that does not take them.
        """
        self._ledger = ledger
        self._dependencies = dependencies
        self._workers = workers
        self._engine_refusal = engine_refusal

    # --- may they come ----------------------------------------------------------------------

    def check(self, options: Options) -> None:
        """Raises: ShuttingDown, BadRequest (too late), NotFound (no such group), Refused (it could
        never start).
        """
        ledger = self._ledger
        if ledger.draining:
            raise ShuttingDown("jobd is shutting down and takes no new jobs")
        # Here, since what is asked for again is answered as before, however late it is.
        check_at(options.at, now_us())
        lacks = fit.lacks(
            options.slots,
            options.gpus,
            workers=max(ledger.workers, self._workers()),
            share=self.share_of(options.group).workers,
            devices=ledger.gpus,
        )
        for lack in filter(fit.is_too_large, lacks):
            raise Refused(_never(lack, options.group))
        why = self.engine_refusal(options.group, options.engine_options)
        if why is not None:
            raise Refused(
                f"--engine-option: {why}: leave it out, or name a group of another engine: --group"
            )

    def engine_refusal(self, group: str, options: Sequence[str]) -> str | None:
        """Why jobs of this group cannot have these options of its engine; None: they can, or there
        is no such group.
        """
        if not options or group not in self._ledger.groups:
            return None
        return self._engine_refusal(group, options)

    def share_of(self, group: str) -> Share:
        """Raises: NotFound (there is no such group)."""
        step = f"make it: jobctl groups add {group} --workers N"
        return self._ledger.share_of(group, option="--group", step=step)

    # --- what they wait for -----------------------------------------------------------------

    def parents_of(self, options: Options) -> list[Parent]:
        """The jobs that it waits for; where both are asked for, completion is what counts.

        Raises: NotFound and Refused, as `parents_in` does.
        """
        wanted = self.parents_in("--after-any", options.after_any, any_end=True)
        wanted += self.parents_in("--after", options.after, any_end=False)
        return [*{parent.id: parent for parent in wanted}.values()]

    def parents_in(
        self, option: str, ranges: Ranges, *, any_end: bool, child: int | None = None
    ) -> list[Parent]:
        """The jobs of a selector of what is waited for; gaps inside a range are silent.

        `child`: the job that is to wait, if it is there already; a range around it leaves it out.

        Raises: NotFound (one, or all of a range, do not exist), Refused (they are too many, or
        nothing but `child`).
        """
        found: list[Parent] = []
        for first, last in ranges:
            jobs = self._dependencies.states(first, last, MAX_PARENTS + 1)
            if not jobs:
                what = f"job {first} does" if first == last else f"jobs {first}-{last} do"
                raise NotFound(f"{option}: {what} not exist")
            if len(jobs) == 1 and jobs[0][0] == child:
                raise Refused(f"{option}: job {child} cannot wait for itself")
            found += (
                Parent.seen(job, state, any_end=any_end) for job, state in jobs if job != child
            )
            if len(found) > MAX_PARENTS:
                raise Refused(f"{option}: {_TOO_MANY_PARENTS}")
        return found

    def as_now(self, parents: Iterable[Parent]) -> list[Parent]:
        """As they are by now; one that was removed meanwhile is not waited for."""
        return [
            Parent.seen(job, state, any_end=parent.any_end)
            for parent in parents
            for job, state in self._dependencies.states(parent.id, parent.id, 1)
        ]

    # --- what is answered -------------------------------------------------------------------

    def submitted(
        self, first: int, last: int, entry: Entry | None = None, *, existing: bool = False
    ) -> Submitted:
        """`entry`: the first of them, where it may start at the end of this very transaction."""
        ledger = self._ledger
        busy = ledger.busy
        starts = False
        if entry is not None:
            free = max(ledger.free_workers, 0)
            ahead = ledger.queue.ahead_of(entry, free)
            room = min(free - ahead, ledger.free_in(entry.group))
            starts = entry.slots <= room and entry.gpus <= ledger.free_gpus
            busy = min(busy + ahead + (last - first + 1) * entry.slots, ledger.workers)
        return Submitted(
            first=first,
            last=last,
            starts_now=starts,
            busy=busy,
            workers=ledger.workers,
            existing=existing,
        )


def _never(lack: Lack, group: str) -> str:
    """To whoever asks for such a job."""
    needs, have = lack.needs, lack.have
    match lack.what:
        case Resource.WORKERS:
            return (
                f"--slots: there {'is' if have == 1 else 'are'} {counted(have, 'worker')}, so a "
                f"job of {needs} slots could never start; raise them first: jobctl workers N"
            )
        case Resource.GROUP:
            return (
                f"--slots: group {group} has {counted(have, 'worker')}, so a job of {needs} slots "
                f"could never start; jobctl groups set {group} --workers N"
            )
        case Resource.GPUS:
            gpus = (
                f"{counted(have, 'GPU')} {'is' if have == 1 else 'are'}" if have else "no GPUs are"
            )
            return (
                f"--gpus: {gpus} configured, so a job that wants {needs} could never start; "
                "name them in config.toml: [gpus] devices = [0, 1]"
            )
