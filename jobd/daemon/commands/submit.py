"""New jobs, one, a batch, or an array: all of a request, or none of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from jobd.contract.call import Call, RequestId
from jobd.contract.destinations import require_apprise
from jobd.contract.errors import JobdError, Refused
from jobd.contract.models import Submit, Submitted
from jobd.daemon.commands.idempotency import Idempotency
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.batch import StagedBatch, Staging
from jobd.daemon.jobs.notifier import Notifier
from jobd.daemon.jobs.plan import Draft, Pack, SubmitPlan, plan_submit
from jobd.daemon.jobs.specs import same_submit
from jobd.store.batches import Batches
from jobd.store.jobs import Jobs
from jobd.store.writer import Writer


class Intake:
    """Called by clients' threads. All jobs of a plan become visible in one step, or none."""

    def __init__(
        self,
        *,
        admission: Admission,
        staging: Staging,
        jobs: Jobs,
        batches: Batches,
        pack: Pack,
        writer: Writer,
        idempotency: Idempotency,
        notifier: Notifier,
    ) -> None:
        self._admission = admission
        self._staging = staging
        self._jobs = jobs
        self._batches = batches
        self._pack = pack
        self._writer = writer
        self._idempotency = idempotency
        self._notifier = notifier

    def submit(self, request: Submit, call: Call) -> Submitted:
        """Raises: BadRequest (no queue could take it), NotFound (no such parent or group), Refused
        (it could never start, or its key is another job's), ShuttingDown, StoreFailed.
        """
        return self.admit(plan_submit(request, call.user, self._pack), call)

    def admit(self, plan: SubmitPlan, call: Call) -> Submitted:
        """Raises: as `submit` does, beside what the plan itself has raised."""
        told = list(plan.told())
        if any(destination.url for destination in told):
            require_apprise("--notify")
        with self._idempotency.one_at_a_time(call.id):
            submitted = self._admit(plan, call)
        if told:
            self._notifier.wished()
        return submitted

    def _admit(self, plan: SubmitPlan, call: Call) -> Submitted:
        if not plan.at_once:
            return self._in_pieces(plan, call)
        drafts = plan.drafts(plan.spans())
        return self._idempotency.once(call.id, Submitted, partial(self._in_one, plan, drafts))

    def _in_one(self, plan: SubmitPlan, drafts: list[Draft]) -> Submitted:
        return self._with_key(drafts[0]) or self._staging.at_once(plan, drafts)

    def _with_key(self, wanted: Draft) -> Submitted | None:
        """The job that has the key already. Raises: Refused (it is another command)."""
        key = wanted.terms.key
        found = None if key is None else self._jobs.by_key(key)
        if found is None:
            return None
        job, spec = found
        if self._batches.is_staged(job):
            raise Refused(
                f"--key: {key!r} belongs to a graph that is being submitted just now; ask again"
            )
        if not same_submit(spec, wanted.specs[0]):
            raise Refused(
                f"--key: {key!r} belongs to job {job}, which is another command or has another "
                f"directory; take another key, or remove that job: jobctl rm {job}"
            )
        return self._admission.submitted(job, job, existing=True)

    def _in_pieces(self, plan: SubmitPlan, call: Call) -> Submitted:
        """Hidden until the last piece is written, then visible in one step."""
        begun = self._writer.call(partial(self._stage, plan, call.id))
        if isinstance(begun, Submitted):
            return begun
        with self._whole(begun):
            for piece in plan.pieces(begun.links):
                drafts = plan.drafts(piece)
                self._writer.call(partial(self._staging.write, begun, drafts))
            return self._idempotency.once(call.id, Submitted, partial(self._staging.reveal, begun))

    def _stage(self, plan: SubmitPlan, request_id: RequestId) -> Submitted | StagedBatch:
        return self._idempotency.answered(request_id, Submitted) or self._staging.stage(plan)

    @contextmanager
    def _whole(self, batch: StagedBatch) -> Iterator[None]:
        """A batch that cannot be written to its end goes; what nobody sees keeps nobody waiting."""
        try:
            yield
        except BaseException:
            # Whatever it is: its key would be taken, and its jobs hidden, until the next start.
            # What cannot even be deleted now, the next start of the daemon deletes.
            with suppress(JobdError):
                while not self._writer.call(partial(self._staging.drop, batch)):
                    pass
            raise
