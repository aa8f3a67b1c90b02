"""A plan becomes jobs: in one transaction, or hidden and piece by piece, and visible in one step.

    small: begun, written and shown in one transaction
    else:  staged | written, a piece in each transaction | revealed

What is staged is hidden behind an entry in `staged`. Whatever dies between two of these steps
leaves jobs that nobody sees, and the next start of the daemon drops them. The ready queue gets the
jobs of a plan as one range, where they are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from jobd.contract.destinations import Scope, WhenAll
from jobd.contract.errors import Refused
from jobd.contract.models import Submitted
from jobd.core.ledger import Ledger
from jobd.core.notification.message import Target
from jobd.daemon.jobs.additions import Additions
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.plan import PIECE, Draft, SubmitPlan
from jobd.store.batches import Batches
from jobd.store.environments import Environments
from jobd.store.jobs import Jobs
from jobd.store.records import Gathering, Parent
from jobd.system.clock import now_us

_MAX_LINKS: Final = 1_000_000
"""Dependencies that jobs which are alike have together."""


class StagedBatch(Struct, frozen=True):
    """A plan that is being written: its ids are taken, and its environment is on disk."""

    plan: SubmitPlan
    first: int
    environment: int
    parents: Sequence[Sequence[Parent]]
    """Of each part: the jobs outside the plan that it waits for, as they were at the beginning."""

    @property
    def last(self) -> int:
        return self.first + self.plan.count - 1

    @property
    def links(self) -> list[int]:
        """How many jobs outside the plan each part waits for."""
        return [len(parents) for parents in self.parents]


class Staging:
    """Called by the writer's thread alone, inside its transaction.

    Promises that all jobs of a plan become visible, or none, and that a plan which the queue cannot
    take has written nothing.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        ledger: Ledger,
        jobs: Jobs,
        batches: Batches,
        environments: Environments,
        additions: Additions,
    ) -> None:
        self._admission = admission
        self._ledger = ledger
        self._jobs = jobs
        self._batches = batches
        self._environments = environments
        self._additions = additions

    # --- steps ------------------------------------------------------------------------------

    def at_once(self, plan: SubmitPlan, drafts: Sequence[Draft]) -> Submitted:
        """All steps in this transaction. `drafts`: those of the whole plan.

        Raises: what `stage` does.
        """
        batch = self._begin(plan)
        failed = self._write(batch, drafts, dict(enumerate(batch.parents)))
        self._announce(batch, failed=failed)
        return self._show(batch)

    def stage(self, plan: SubmitPlan) -> StagedBatch:
        """The hidden beginning.

        Raises: NotFound, Refused (the queue cannot take it, and why), ShuttingDown.
        """
        batch = self._begin(plan)
        self._batches.stage(batch.first, batch.last, batch.environment)
        if plan.shared is not None:
            self._batches.add_array(batch.first, plan.count, plan.shared)
        return batch

    def write(self, batch: StagedBatch, drafts: Sequence[Draft]) -> None:
        """A piece of it, still hidden. Raises: Refused (a key has been taken meanwhile)."""
        for draft in drafts:
            with batch.plan.about(draft.part):
                self._check_key(batch.plan, draft.terms.key)
        parents = dict[int, list[Parent]]()
        for draft in drafts:
            if draft.part not in parents:
                parents[draft.part] = self._admission.as_now(batch.parents[draft.part])
        self._write(batch, drafts, parents)

    def reveal(self, batch: StagedBatch) -> Submitted:
        """All of it is written. Raises: NotFound (a group has been removed meanwhile)."""
        plan = batch.plan
        for group in dict.fromkeys(part.options.group for part in plan.parts):
            self._admission.share_of(group)
        self._announce(batch, failed=plan.graph or any(batch.parents))
        self._batches.unstage(batch.first)
        return self._show(batch)

    def drop(self, batch: StagedBatch) -> bool:
        """Delete a slice of a batch that is not written to its end; True: nothing is left of it."""
        return self._batches.drop_staged(batch.first, PIECE)

    # --- parts of the steps -----------------------------------------------------------------

    def _begin(self, plan: SubmitPlan) -> StagedBatch:
        """All checks that look at the queue, and only then the first write."""
        parents = []
        for number in range(len(plan.parts)):
            with plan.about(number):
                parents.append(self._admitted(plan, number))
        first = self._ledger.reserve_ids(plan.count)
        environment = self._environments.use(plan.environment, plan.count)
        return StagedBatch(plan, first, environment, parents)

    def _admitted(self, plan: SubmitPlan, number: int) -> list[Parent]:
        """What a part waits for, if it may come."""
        options = plan.parts[number].options
        self._admission.check(options)
        self._check_key(plan, options.key)
        parents = self._admission.parents_of(options)
        if not plan.graph and len(parents) * plan.count > _MAX_LINKS:
            raise Refused(
                f"--after: {plan.count:,} jobs that wait for {len(parents):,} each are more than "
                f"{_MAX_LINKS:,} dependencies; let one job wait for all of them and the rest for it"
            )
        return parents

    def _check_key(self, plan: SubmitPlan, key: str | None) -> None:
        """A job of its own has been looked for by its key before this."""
        found = self._jobs.by_key(key) if plan.graph and key is not None else None
        if found is not None:
            raise Refused(
                f"--key: {key!r} is that of job {found[0]} already, and a graph has new jobs; "
                f"take another key, or remove that job: jobctl rm {found[0]}"
            )

    def _write(
        self,
        batch: StagedBatch,
        drafts: Sequence[Draft],
        parents: Mapping[int, Sequence[Parent]],
    ) -> bool:
        """`parents`: of each part, outside the plan, as they are now. Whether some have failed."""
        now, failed = now_us(), False
        for draft in drafts:
            inside = [
                Parent(batch.first + place, any_end, met=False) for place, any_end in draft.inside
            ]
            waits_for = [*parents[draft.part], *inside]
            terms = draft.terms_at(now, self._environment(batch, draft), waits_for)
            failed = failed or terms.failed is not None
            first = batch.first + draft.place
            if draft.indexes is None:
                self._additions.written(first, draft.specs, terms, waits_for, now)
            else:
                self._additions.written_elements(
                    batch.first, first, draft.indexes, terms, waits_for, now=now
                )
        return failed

    def _environment(self, batch: StagedBatch, draft: Draft) -> int:
        if draft.environment is None:
            return batch.environment
        # Counted for all of the plan at its beginning: these use another.
        count = len(draft.specs)
        self._environments.leave(batch.environment, count)
        return self._environments.use(draft.environment, count)

    def _announce(self, batch: StagedBatch, *, failed: bool) -> None:
        """`failed`: some may have, since what they wait for had."""
        plan = batch.plan
        self._additions.announced(
            batch.first, batch.last, plan.user, array=bool(plan.array), failed=failed
        )
        if plan.is_batch:
            self._batches.add_batch(batch.first, batch.last)
        for wanted in plan.when_all:
            environment = self._environments.use(plan.environment, 1)
            self._batches.add_gathering(_gathering(batch, wanted, environment))

    def _show(self, batch: StagedBatch) -> Submitted:
        """Count the jobs, and let those that wait for nothing into the ready queue."""
        first, last = batch.first, batch.last
        alike = batch.plan.alike(first)
        if alike is None:
            self._additions.revealed(first, last, linked=batch.plan.graph)
            return self._admission.submitted(first, last)
        answer = self._admission.submitted(first, last, alike)
        self._additions.revealed(first, last, alike)
        return answer


def _gathering(batch: StagedBatch, wanted: WhenAll, environment: int) -> Gathering:
    parts = batch.plan.parts
    groups = [part.options.group for part in parts] if wanted.of is Scope.GROUP else []
    tags = [tag for part in parts for tag in part.options.tags] if wanted.of is Scope.TAG else []
    target = Target(
        rule="--notify-when-all", to=wanted.to, environment=environment, cwd=parts[0].cwd
    )
    return Gathering(
        first=batch.first, last=batch.last, groups=tuple(dict.fromkeys(groups)),
        tags=tuple(dict.fromkeys(tags)), since=now_us(), target=target,
    )  # fmt: skip
