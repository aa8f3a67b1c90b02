"""What is on record of the output of jobs that have ended, and of what a power cut took of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct, field

from jobd.contract.states import State
from jobd.contract.wording import counted, instant, listed
from jobd.store.settings import Settings

LOST_OUTPUT: Final = "lost_output"
"""The setting that holds what was taken."""


class Losses(Struct, frozen=True):
    """Found at the start behind a power cut."""

    before: float = 0.0
    """When the machine had booted again, seconds since the epoch."""
    jobs: dict[int, int] = field(default_factory=dict)
    """Bytes that are missing of the output of each."""

    def words(self, lost: int, whose: str) -> str:
        """`60 bytes of its output were lost with the power before 2026-11-26T05:00:00Z`."""
        were = "was" if lost == 1 else "were"
        return f"{counted(lost, 'byte')} of {whose} {were} lost with the power before " + instant(
            self.before
        )

    def in_all(self) -> str | None:
        """The same of all jobs together; None: nothing is missing."""
        if not self.jobs:
            return None
        whose = f"the output of {counted(len(self.jobs), 'job')} ({listed(sorted(self.jobs))})"
        return self.words(sum(self.jobs.values()), whose)


class OnRecord(NamedTuple):
    """A job that has ended, and the output that its attempts left."""

    job: int
    noted: int
    """Bytes, of all attempts together."""
    attempts: list[tuple[int, str]]
    """The number of each, and the engine that it ran on."""


class Short(NamedTuple):
    """Of the output of a job that has ended so many bytes are there, and more are on record."""

    of: OnRecord
    size: int


def decoded(setting: str | None) -> Losses:
    """Nothing, where nothing that makes sense is on record."""
    try:
        return Losses() if setting is None else msgspec.json.decode(setting, type=Losses)
    except msgspec.DecodeError:
        return Losses()


class LossRecord:
    """Called by the writer's thread alone, inside its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._settings = Settings(connection)

    def told(self) -> Losses:
        return decoded(self._settings.get(LOST_OUTPUT))

    def ended_lately(self, window: int, most: int) -> list[int]:
        """Jobs that have left output and ended within so many microseconds before the last end."""
        rows = self._db.execute(
            "SELECT id FROM jobs WHERE finished_at IS NOT NULL AND finished_at >="
            " (SELECT MAX(finished_at) FROM jobs WHERE finished_at IS NOT NULL) - ?"
            " AND output_bytes > 0 ORDER BY finished_at DESC, id DESC LIMIT ?",
            (window, most),
        )
        return [job for (job,) in rows]

    def outputs(self, jobs: Sequence[int]) -> list[OnRecord]:
        """Of those of these jobs that do not run."""
        rows = self._db.execute(
            "SELECT j.id, j.output_bytes, json_group_array(json_array(a.attempt, a.engine))"
            " FROM jobs AS j JOIN attempts AS a ON a.job = j.id"
            " WHERE j.id IN (SELECT value FROM json_each(?))"
            f" AND j.state <> '{State.RUNNING}' GROUP BY j.id",
            (msgspec.json.encode(jobs).decode(),),
        )
        return [
            OnRecord(job, noted, msgspec.json.decode(attempts, type=list[tuple[int, str]]))
            for job, noted, attempts in rows
        ]

    def note(self, losses: Losses, forgotten: Iterable[Short]) -> None:
        """These are told from now on. Of those that are forgotten, what is there is all of it;
        but of one that has run again meanwhile.
        """
        self._db.executemany(
            "UPDATE jobs SET output_bytes = ? WHERE id = ? AND output_bytes = ?",
            [(size, one.job, one.noted) for one, size in forgotten],
        )
        self._settings.set(LOST_OUTPUT, msgspec.json.encode(losses).decode())
