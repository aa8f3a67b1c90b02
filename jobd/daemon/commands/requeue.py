"""Finished jobs that pend again, as `start` and `restart` want it."""

from __future__ import annotations

from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import BulkResult, Verb
from jobd.daemon.jobs.admission import Admission
from jobd.daemon.jobs.moves import Moves, Obstacle
from jobd.store.jobs import Jobs
from jobd.store.records import Look


class Requeue(Verb):
    """What `start` and `restart` share: a job pends again, if what it waits for allows that."""

    parents_first = True

    def __init__(self, moves: Moves, user: str, *, jobs: Jobs, admission: Admission) -> None:
        self._moves = moves
        self._user = user
        self._jobs = jobs
        self._admission = admission

    def requeue(self, job: Look, move: Move, result: BulkResult) -> bool:
        """Whether it pends again; not while one that it waits for has failed."""
        anew = f"jobctl submit --like {job.id} --group NAME"
        step = f"submit it anew in a group of the engine that does: {anew}"
        if self.is_refused(job, result, step):
            return False
        obstacle = self._moves.requeued(job, move, self._user)
        if obstacle is not None:
            result.error(job.id, _in_words(obstacle))
            return False
        result.done.append(job.id)
        result.attempts[job.id] = job.attempt + 1
        return True

    def is_refused(self, job: Look, result: BulkResult, step: str) -> bool:
        """Whether the engine that its group is on by now does not take its options: it could only
        fail. `step`: what to do then.
        """
        options = self._jobs.engine_options_of(job.id)
        why = self._admission.engine_refusal(job.entry.group, options)
        if why is not None:
            result.error(job.id, f"has an --engine-option, {why}: {step}")
        return why is not None


def _in_words(obstacle: Obstacle) -> str:
    parent, group = obstacle.failed_parent, obstacle.missing_group
    if parent is not None:
        return f"waits for job {parent}, which has failed; jobctl restart {parent}"
    return f"is of group {group}, which was removed; jobctl groups add {group} --workers N"
