"""Finished jobs that pend again, as `start` and `restart` want it."""

from __future__ import annotations

from jobd.core.transitions import Move
from jobd.daemon.commands.bulk import Tally, Verb
from jobd.daemon.jobs.moves import Moves, Obstacle
from jobd.store.records import Look


class Requeue(Verb):
    """What `start` and `restart` share: a job pends again, if what it waits for allows that."""

    parents_first = True

    def __init__(self, moves: Moves, user: str) -> None:
        self._moves = moves
        self._user = user

    def requeue(self, job: Look, move: Move, tally: Tally) -> bool:
        """Whether it pends again; not while one that it waits for has failed."""
        obstacle = self._moves.requeued(job, move, self._user)
        if obstacle is not None:
            tally.error(job.id, _in_words(obstacle))
            return False
        tally.done.append(job.id)
        tally.attempts[job.id] = job.attempt + 1
        return True


def _in_words(obstacle: Obstacle) -> str:
    parent, group = obstacle.failed_parent, obstacle.missing_group
    if parent is not None:
        return f"waits for job {parent}, which has failed; jobctl restart {parent}"
    return f"is of group {group}, which was removed; jobctl groups add {group} --workers N"
