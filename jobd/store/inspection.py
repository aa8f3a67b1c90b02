"""What must be true of every database, as questions that find what is not.

Each question is one statement, so it sees one commit, also beside a daemon at work. A batch that
is still being written (`staged`) and an end that is still being passed on (`settling`) are no
faults: the daemon goes on with them, and so does the next one.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from jobd.contract.states import FINISHED, State
from jobd.contract.wording import counted
from jobd.store.conditions import WAITS_FOR, names
from jobd.store.database import known_version, version_of
from jobd.store.records import policy_decoder, spec_decoder, stop_decoder

_MOST: Final = 100
"""Findings of one kind that are told."""
_PIECE: Final = 5000
"""Rows that are read at a time."""

RESTORE: Final = "restore a backup (jobd restore --help), or ask for help with this text"
_RESTART: Final = "let the daemon look at it anew: jobctl restart {0}"
_REMOVE: Final = "it can be removed: jobctl rm {0}"


class Fault(NamedTuple):
    """Something in the database that should not be so."""

    text: str
    step: str
    """What to do about it."""
    job: int | None = None


class Question(NamedTuple):
    """`sql` gives a row for each fault, its first column the job (or null)."""

    text: str
    step: str
    sql: str


_HAD_PROCESS: Final = "(a.pid IS NOT NULL OR a.engine_id IS NOT NULL)"
"""Of this machine, or by what the tools of its engine know it."""
_ENDED: Final = names(sorted(FINISHED))
_STAGED: Final = "EXISTS (SELECT 1 FROM staged AS s WHERE {} BETWEEN s.first AND s.last)"

QUESTIONS: Final = (
    Question(
        "job {0} has the state {1!r}, which does not exist", RESTORE,
        f"SELECT id, state FROM jobs WHERE state NOT IN ({names(State)})",
    ),
    Question(
        "job {0} runs, and its attempt {1} does not", RESTORE,
        "SELECT j.id, j.attempt FROM jobs AS j LEFT JOIN attempts AS a"
        " ON a.job = j.id AND a.attempt = j.attempt"
        f" WHERE j.state = '{State.RUNNING}' AND a.state IS NOT '{State.RUNNING}'",
    ),
    Question(
        "attempt {1} of job {0} runs, and the job does not", RESTORE,
        "SELECT a.job, a.attempt FROM attempts AS a LEFT JOIN jobs AS j"
        " ON j.id = a.job AND j.attempt = a.attempt"
        f" WHERE a.state = '{State.RUNNING}' AND j.state IS NOT '{State.RUNNING}'",
    ),
    Question(
        "job {0} is completed, and its attempt {1} is not", RESTORE,
        "SELECT j.id, j.attempt FROM jobs AS j LEFT JOIN attempts AS a"
        " ON a.job = j.id AND a.attempt = j.attempt"
        f" WHERE j.state = '{State.COMPLETED}' AND a.state IS NOT '{State.COMPLETED}'",
    ),
    Question(
        "attempt {1} belongs to job {0}, which is missing", RESTORE,
        "SELECT job, attempt FROM attempts AS a"
        " WHERE NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = a.job)",
    ),
    Question(
        "job {0} counts {1} attempts, and {2} are on record", RESTORE,
        "SELECT j.id, j.attempt, COUNT(a.attempt) AS n FROM jobs AS j LEFT JOIN attempts AS a"
        " ON a.job = j.id GROUP BY j.id HAVING n <> j.attempt",
    ),
    Question(
        "job {0} is {1}, and the time of its end says otherwise", _RESTART,
        "SELECT id, state FROM jobs"
        f" WHERE (state IN ({_ENDED})) <> (finished_at IS NOT NULL)",
    ),
    Question(
        "job {0} is pending ({1}), and it should be: {2}",
        "pass it by the queue once more: jobctl hold {0} && jobctl start {0}",
        f"SELECT id, reason, {WAITS_FOR} AS why FROM jobs"
        f" WHERE state = '{State.PENDING}' AND reason IS NOT why",
    ),
    Question(
        "of jobs that job {0} waits for, {1} by its own count, {2} on record",
        "set anew what it waits for: jobctl edit {0} --after ...",
        "SELECT j.id, j.unmet, COUNT(d.parent) AS n FROM jobs AS j LEFT JOIN dependencies AS d"
        f" ON d.child = j.id AND d.met = 0 WHERE j.state = '{State.PENDING}'"
        " GROUP BY j.id HAVING n <> j.unmet",
    ),
    Question(
        "job {0} waits for job {1}, which has {2}: it would wait for ever",
        "set anew what it waits for: jobctl edit {0} --after ...",
        "SELECT d.child, d.parent, IIF(p.id IS NULL, 'gone', 'ended') FROM dependencies AS d"
        " JOIN jobs AS c ON c.id = d.child LEFT JOIN jobs AS p ON p.id = d.parent"
        f" WHERE d.met = 0 AND c.state = '{State.PENDING}'"
        f" AND (p.id IS NULL OR p.state IN ({_ENDED}))"
        " AND NOT EXISTS (SELECT 1 FROM settling AS s WHERE s.parent = d.parent)",
    ),
    Question(
        "what job {1} waits for is on record, and the job is missing", RESTORE,
        "SELECT DISTINCT NULL, child FROM dependencies AS d"
        " WHERE NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = d.child)"
        f" AND NOT {_STAGED.format('d.child')}",
    ),
    Question(
        "the environment of job {0} is missing", "give it this shell's: jobctl restart {0}"
        " --refresh-env",
        "SELECT id FROM jobs AS j"
        " WHERE NOT EXISTS (SELECT 1 FROM environments AS e WHERE e.id = j.environment)",
    ),
    Question(
        "of jobs with environment {1}, {2} by its own count, {3} on record", "it only takes space",
        "SELECT NULL, e.id, e.uses, COUNT(u.id) AS n FROM environments AS e LEFT JOIN"
        " (SELECT environment AS id FROM jobs UNION ALL SELECT environment FROM deliveries"
        " WHERE due IS NOT NULL UNION ALL SELECT environment FROM gatherings) AS u ON u.id = e.id"
        " WHERE e.id NOT IN (SELECT environment FROM staged) GROUP BY e.id HAVING n <> e.uses",
    ),
    Question(
        "the command of array {1}, that job {0} is of, is missing", _REMOVE,
        "SELECT id, array FROM jobs AS j WHERE array IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM arrays AS r WHERE r.first = j.array)",
    ),
    Question(
        "of jobs of array {1}, {2} by its own count, {3} on record", "it only takes space",
        "SELECT NULL, r.first, r.uses, COUNT(j.id) AS n FROM arrays AS r LEFT JOIN jobs AS j"
        f" ON j.array = r.first WHERE NOT {_STAGED.format('r.first')}"
        " GROUP BY r.first HAVING n <> r.uses",
    ),
    Question(
        "the highest id that was given is {2}, and there is job {1}", RESTORE,
        "SELECT NULL, last, seq FROM (SELECT MAX(id) AS last FROM jobs),"
        " (SELECT IFNULL(MAX(seq), 0) AS seq FROM sqlite_sequence WHERE name = 'jobs')"
        " WHERE last > seq",
    ),
)  # fmt: skip

LEFTOVERS: Final = (
    ("never finished, and the daemon drops it: {}", "unfinished submit", "staged"),
    ("still to be passed on, which the daemon does: the end of {}", "job", "settling"),
    ("still to be deleted, which the daemon does: the output of {}", "removed job", "deletions"),
    (
        "on record as running, and the next daemon finds out what became of it: {}",
        "job",
        f"jobs WHERE state = '{State.RUNNING}'",
    ),
)
"""What a daemon that was killed leaves, and the next one puts right by itself."""


class Output(NamedTuple):
    """An attempt that has ended."""

    job: int
    attempt: int
    recorded: int
    """Bytes that all attempts of the job left."""
    surely: bool
    """It had a process, so it has a file; one whose outcome is lost may have left one."""
    engine: str
    """Where it ran; its output is there."""


class Inspection:
    """Methods raise sqlite3.Error; whoever opened the connection makes a StoreFailed of it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def structure(self, *, whole: bool = True) -> list[str]:
        """What SQLite finds wrong; not `whole`: without comparing indexes with their tables."""
        pragma = "integrity_check" if whole else "quick_check"
        found = [row[0] for row in self._db.execute(f"PRAGMA {pragma}({_MOST})")]
        return [] if found == ["ok"] else found

    def version(self) -> int:
        return version_of(self._db)

    def setting(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def version_fault(self) -> Fault | None:
        """Of a version that cannot be looked into any further."""
        found, known = self.version(), known_version()
        if found > known:
            return Fault(
                f"schema {found} was written by a newer jobd; this one knows {known}",
                "install the newer version again",
            )
        if not found:
            return Fault("it is empty, and a database of jobd never is", RESTORE)
        return None

    def outdated(self) -> bool:
        """Of an earlier jobd: sound as far as can be told, and brought up to date by the start."""
        return 0 < self.version() < known_version()

    def faults(self) -> Iterator[Fault]:
        for text, step, sql in QUESTIONS:
            rows = self._db.execute(f"SELECT * FROM ({sql}) LIMIT {_MOST + 1}").fetchall()
            yield from (Fault(text.format(*row), step.format(*row), row[0]) for row in rows[:_MOST])
            if len(rows) > _MOST:
                yield Fault(f"there are more than {_MOST} like the last one", step.format("ID"))
        yield from self._damaged_jobs()
        yield from self._damaged_arrays()
        yield from self._damaged_environments()

    def leftovers(self) -> Iterator[str]:
        for text, noun, where in LEFTOVERS:
            (count,) = self._db.execute(f"SELECT COUNT(*) FROM {where}").fetchone()
            if count:
                yield text.format(counted(count, noun))

    def jobs(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM jobs").fetchone()[0])

    def last_id(self) -> int:
        """The highest that was ever given."""
        row = self._db.execute(
            "SELECT IFNULL(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'jobs'"
        ).fetchone()
        return int(row[0])

    def engines(self) -> list[str]:
        """Those on which attempts that have ended had a process, so there is output with them."""
        rows = self._db.execute(
            "SELECT DISTINCT a.engine FROM attempts AS a"
            f" WHERE a.state <> '{State.RUNNING}' AND {_HAD_PROCESS} ORDER BY a.engine"
        )
        return [engine for (engine,) in rows]

    def outputs(self) -> Iterator[Output]:
        """In order of job and attempt."""
        behind = (0, 0)
        while rows := self._db.execute(
            f"SELECT a.job, a.attempt, j.output_bytes, {_HAD_PROCESS},"
            f" a.engine, a.state <> '{State.RUNNING}'"
            " FROM attempts AS a JOIN jobs AS j ON j.id = a.job"
            " WHERE (a.job, a.attempt) > (?, ?) ORDER BY a.job, a.attempt LIMIT ?",
            (*behind, _PIECE),
        ).fetchall():
            behind = rows[-1][:2]
            for job, attempt, recorded, surely, engine, ended in rows:
                if ended:
                    yield Output(job, attempt, recorded, bool(surely), engine)

    def keeps(self, job: int, attempt: int) -> bool:
        """Whether the attempt is on record now."""
        (found,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM attempts WHERE job = ? AND attempt = ?)", (job, attempt)
        ).fetchone()
        return bool(found)

    def has_attempt(self, job: int, attempt: int) -> bool:
        """Or had, and its output is still to be deleted; or begins with what lies there: a daemon
        that is killed amid a start leaves an output, and the job waits again.
        """
        (found,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM attempts WHERE job = :job AND attempt = :attempt)"
            " OR EXISTS (SELECT 1 FROM deletions WHERE job = :job AND attempts >= :attempt)"
            " OR EXISTS (SELECT 1 FROM jobs WHERE id = :job AND attempt = :attempt - 1"
            f" AND state = '{State.PENDING}')",
            {"job": job, "attempt": attempt},
        ).fetchone()
        return bool(found)

    # --- what SQLite knows nothing of: our own records --------------------------------------------

    def _damaged_jobs(self) -> Iterator[Fault]:
        behind = 0
        while rows := self._db.execute(
            "SELECT id, array IS NULL, spec, policy, stop FROM jobs WHERE id > ?"
            " ORDER BY id LIMIT ?",
            (behind, _PIECE),
        ).fetchall():
            behind = rows[-1][0]
            for job, alone, spec, policy, stop in rows:
                readable = (
                    (not alone or _reads(spec_decoder.decode, spec))
                    and (policy is None or _reads(policy_decoder.decode, policy))
                    and (stop is None or _reads(stop_decoder.decode, stop))
                )
                if not readable:
                    yield Fault(
                        f"the record of job {job} is damaged",
                        f"it cannot be run; submit it again, and: jobctl rm {job}", job,
                    )  # fmt: skip

    def _damaged_arrays(self) -> Iterator[Fault]:
        for first, spec in self._db.execute("SELECT first, spec FROM arrays"):
            if not _reads(spec_decoder.decode, spec):
                yield Fault(
                    f"the command of array {first} is damaged",
                    "its jobs cannot be run; submit them again",
                )

    def _damaged_environments(self) -> Iterator[Fault]:
        for number, digest, content in self._db.execute(
            "SELECT id, digest, content FROM environments"
        ):
            if not _reads(_digest_of, content) or _digest_of(content) != digest:
                (job,) = self._db.execute(
                    "SELECT MIN(id) FROM jobs WHERE environment = ?", (number,)
                ).fetchone()
                yield Fault(
                    f"environment {number} is damaged; the first job that has it is {job}",
                    f"give it this shell's: jobctl restart {job} --refresh-env", job,
                )  # fmt: skip


def _reads(decode: Callable[[bytes], object], blob: bytes) -> bool:
    try:
        decode(blob)
    except (msgspec.DecodeError, zlib.error, ValueError, TypeError):
        return False
    return True


def _digest_of(content: bytes) -> bytes:
    return hashlib.sha256(zlib.decompress(content)).digest()
