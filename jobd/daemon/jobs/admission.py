"""Jobs that come: whether they may, what they wait for, and how all of them become visible.

What fits into one transaction is written in one. More is written in pieces, hidden behind an entry
in `staged`, and becomes visible in one step; the ready queue gets it as one range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from msgspec.structs import replace

from jobd.contract.errors import BadRequest, JobdError, ShuttingDown
from jobd.contract.models import MAX_PARENTS, Lack, Options, Submitted
from jobd.contract.states import Resource, dependency_failed
from jobd.contract.wording import counted
from jobd.core import fit
from jobd.core.ledger import Ledger, Share
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs.specs import TOO_MANY_PARENTS, check_at, terms_of
from jobd.store.batches import Batches
from jobd.store.dependencies import Dependencies
from jobd.store.environments import Environments
from jobd.store.records import Parent, Terms
from jobd.store.writer import Writer
from jobd.system.clock import now_us

PIECE: Final = 500
"""Jobs with commands of their own that are written in one transaction."""
Ranges = Sequence[tuple[int, int]]
Link = tuple[int, bool]
"""A job that is waited for, and whether its end is enough however it ends."""


class Admission:
    """`workers`: as configured; with fewer just now, a job may wait for them to come back."""

    def __init__(
        self,
        ledger: Ledger,
        batches: Batches,
        environments: Environments,
        dependencies: Dependencies,
        writer: Writer,
        *,
        workers: int,
    ) -> None:
        self._ledger = ledger
        self._batches = batches
        self._environments = environments
        self._dependencies = dependencies
        self._writer = writer
        self._workers = workers

    # --- may they come ----------------------------------------------------------------------

    def links_of(self, options: Options) -> tuple[Link, ...]:
        """The jobs that it waits for; where both are asked for, completion is what counts."""
        wanted = dict.fromkeys(self._jobs_in("--after-any", options.after_any), True)
        wanted |= dict.fromkeys(self._jobs_in("--after", options.after), False)
        return tuple(wanted.items())

    def check_place(self, options: Options) -> None:
        ledger = self._ledger
        if ledger.draining:
            raise ShuttingDown("jobd is shutting down and takes no new jobs")
        # Here, since what is asked for again is answered as before, however late it is.
        check_at(options.at, now_us())
        share = self.share_of(options.group)
        lacks = fit.lacks(
            options.slots,
            options.gpus,
            workers=max(ledger.workers, self._workers),
            share=share.workers,
            devices=ledger.gpus,
        )
        for lack in filter(fit.is_too_large, lacks):
            raise BadRequest(_never(lack, options.group))

    def share_of(self, group: str) -> Share:
        """Raises: BadRequest (there is no such group)."""
        share = self._ledger.groups.get(group)
        if share is None:
            raise BadRequest(
                f"--group: there is no group {group!r}; "
                f"make it: jobctl groups add {group} --workers N"
            )
        return share

    def _jobs_in(self, option: str, ranges: Ranges) -> list[int]:
        """The jobs of a selector. Raises: BadRequest (one, or all of a range, do not exist)."""
        found: list[int] = []
        for first, last in ranges:
            jobs = self._dependencies.states(first, last, MAX_PARENTS + 1)
            if not jobs:
                what = f"job {first} does" if first == last else f"jobs {first}-{last} do"
                raise BadRequest(f"{option}: {what} not exist")
            found += (job for job, _ in jobs)
            if len(found) > MAX_PARENTS:
                raise BadRequest(f"{option}: {TOO_MANY_PARENTS}")
        return found

    # --- what is written of them ----------------------------------------------------------------

    def parents(self, links: Sequence[Link]) -> list[Parent]:
        """As they are now; one that was removed meanwhile is not waited for."""
        found = []
        for job, any_end in links:
            for _, state in self._dependencies.states(job, job, 1):
                found.append(Parent.seen(job, state, any_end=any_end))
        return found

    def terms(
        self, options: Options, user: str, environment: int, parents: Sequence[Parent], now: int
    ) -> Terms:
        terms = terms_of(options, user, environment, now)
        if not parents:
            return terms
        failed = next((parent.id for parent in parents if parent.failed), None)
        return replace(
            terms,
            parents=len(parents),
            unmet=sum(not parent.met for parent in parents),
            failed=None if failed is None else dependency_failed(failed),
        )

    def reserve(self, count: int, environment: dict[bytes, bytes]) -> tuple[int, int]:
        """The first of so many ids, and what all of them share as their environment."""
        return self._ledger.reserve_ids(count), self._environments.use(environment, count)

    # --- becoming visible -------------------------------------------------------------------

    @contextmanager
    def whole(self, first: int) -> Iterator[None]:
        """A batch that cannot be written to its end goes; what nobody sees keeps nobody waiting."""
        try:
            yield
        except JobdError:
            # What cannot even be deleted now, the next start of the daemon deletes.
            with suppress(JobdError):
                while not self._writer.call(lambda: self._batches.drop_staged(first, PIECE)):
                    pass
            raise

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
