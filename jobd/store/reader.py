"""The reading half of the store: pages by key, over a few connections that never write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from jobd.contract.models import Ended
from jobd.contract.ranges import Ranges, merge_ranges
from jobd.contract.states import EventName, State
from jobd.core.ready_queue import Entry
from jobd.core.retention import Finished
from jobd.store import lookups
from jobd.store.conditions import BY_STATE, LISTED, VISIBLE, as_json
from jobd.store.connections import Connections, Pinned, Pool
from jobd.store.history import read_events
from jobd.store.pages import PAGE_BYTES, Key, fitting, read_page, read_page_ids
from jobd.store.past import BOUNDS, AttemptKey, Chosen, read_past
from jobd.store.records import (
    AttemptRow,
    EventRow,
    Filter,
    JobRow,
    Parent,
    Removed,
    unpack_environment,
)
from jobd.store.rows import JOB, SIZED, job_of, readable

GetPage = Callable[[str, Filter, Key | None, int], tuple[list[JobRow], Key | None]]
"""Section, filter, behind, limit."""
GetIds = Callable[[str, Filter, Key | None, int], tuple[list[int], Key | None]]
"""The same."""


class Reader:
    """Any thread may call; each call sees the last commit, and its answer is that of one moment,
    where it does not say otherwise: what moves meanwhile is neither missed nor counted twice.
    """

    def __init__(self, path: Path, check: Callable[[], object] = lambda: None) -> None:
        """`check` raises JobdError where somebody else's file is at the path by now."""
        self._connections: Connections = Pool(path, check)

    @contextmanager
    def moment(self) -> Iterator[Reader]:
        """A reader all of whose calls see one and the same commit. For one thread, and for a few
        answers: no read stays open for long.
        """
        with self._connections.view() as connection:
            yield _Moment(connection)

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._connections.one() as connection:
            return connection.execute(sql, values).fetchall()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """For other modules of the store."""
        return self._all(sql, values)

    def close(self) -> None:
        """What is being read is read to its end."""
        self._connections.close()

    # --- jobs -----------------------------------------------------------------------------

    def job(self, job: int) -> JobRow | None:
        rows = self._all(f"{JOB} WHERE j.id = ? AND {VISIBLE}", (job,))
        return job_of(rows[0]) if rows else None

    def jobs(self, ids: Sequence[int]) -> list[JobRow]:
        """In order of id; what does not exist is left out."""
        rows = self._all(
            f"{JOB} WHERE j.id IN {LISTED} AND {VISIBLE} ORDER BY j.id", (as_json(ids),)
        )
        return [job_of(row) for row in rows]

    def fitting(self, ids: Sequence[int]) -> Sequence[int]:
        """The first of them: so many as one answer has room for, and one at least."""
        with self._connections.one() as connection:
            count = fitting(connection, ids, PAGE_BYTES, least=1)
        return ids[:count]

    def select(self, chosen: Filter, limit: int) -> list[tuple[int, State]]:
        """The first ids, in order, that are meant. Of several ranges none should be wide."""
        with self._connections.view() as connection:
            return lookups.read_ids(connection, chosen, limit)

    def ranges(self, chosen: Filter, first: int, last: int) -> list[tuple[int, int]]:
        """All ids from `first` to `last` that are meant, each piece as of its own moment."""
        found: list[tuple[int, int]] = []
        while first <= last:
            with self._connections.view() as connection:
                more, first = lookups.read_ranges(connection, chosen, first, last)
            found += more
        return merge_ranges(found)

    def one_of(self, states: Sequence[State], ranges: Ranges) -> int | None:
        """Some job in one of these states."""
        with self._connections.view() as connection:
            return lookups.one_of(connection, states, ranges)

    def count_within(self, ranges: Ranges) -> dict[State, int]:
        """How many jobs there are in each state."""
        with self._connections.view() as connection:
            return lookups.count_within(connection, ranges)

    def page(
        self, section: str, chosen: Filter, behind: Key | None, limit: int
    ) -> tuple[list[JobRow], Key | None]:
        """One page of `pages`."""
        with self.pages() as page:
            return page(section, chosen, behind, limit)

    @contextmanager
    def pages(self) -> Iterator[GetPage]:
        """A function that gives pages of one and the same moment: no job moves between them.

        It gives the next jobs of a section, and the key behind which to go on (None: there are no
        more). A page that is not full need not be the last: a filter passes over so many jobs at a
        time.
        """
        with self._connections.view() as connection:

            def page(
                section: str, chosen: Filter, behind: Key | None, limit: int
            ) -> tuple[list[JobRow], Key | None]:
                rows, key = read_page(connection, SIZED, section, chosen, behind, limit)
                return [job_of(row[:-1]) for row in rows], key

            yield page

    @contextmanager
    def id_pages(self) -> Iterator[GetIds]:
        """The same as `pages`, of ids alone."""
        with self._connections.view() as connection:
            yield partial(read_page_ids, connection)

    def running(self) -> list[JobRow]:
        """All that run."""
        rows = self._all(f"{JOB} WHERE j.state = '{State.RUNNING}' ORDER BY j.started_at, j.id")
        return [job_of(row) for row in rows]

    def ahead_of(self, entry: Entry, group: str | None, look: int) -> tuple[int, bool]:
        """How many that only wait for their turn (of a group) start before it.

        At most `look` of them are looked at; the second says whether there are more.
        """
        with self._connections.view() as connection:
            return lookups.ahead_of(connection, entry, group, look)

    def latest_started(self) -> int | None:
        """By the history, in which those that are left are found near the end."""
        rows = self._all(
            "SELECT e.job FROM events AS e JOIN jobs AS j ON j.id = e.job"
            f" WHERE e.event = '{EventName.STARTED}' ORDER BY e.seq DESC LIMIT 1"
        )
        # The history may have been cut off behind them; the last attempt written down began last.
        rows = rows or self._all(
            "SELECT job FROM attempts ORDER BY started_at DESC, job DESC LIMIT 1"
        )
        return int(str(rows[0][0])) if rows else None

    def attempts(self, job: int) -> list[AttemptRow]:
        rows = self._all(
            "SELECT attempt, state, reason, started_at, finished_at, exit_code, signal, pid,"
            " cpu_us, max_rss_kb, engine, engine_id FROM attempts WHERE job = ? ORDER BY attempt",
            (job,),
        )
        return [AttemptRow(row[0], State(str(row[1])), *row[2:]) for row in rows]  # type: ignore[arg-type]

    def parents(self, rows: Sequence[JobRow]) -> dict[int, list[Parent]]:
        """What each of these jobs waits for, or has waited for; those without are left out."""
        ids = [row.id for row in rows if row.parents]
        found: dict[int, list[Parent]] = {}
        if ids:
            for child, parent, any_end, met in self._all(
                "SELECT child, parent, finished, met FROM dependencies"
                f" WHERE child IN {LISTED} ORDER BY child, parent",
                (as_json(ids),),
            ):
                one = Parent(int(str(parent)), bool(any_end), bool(met))
                found.setdefault(int(str(child)), []).append(one)
        return found

    def upwards(self) -> set[int]:
        """The jobs that wait, or have waited, for one with a higher id."""
        rows = self._all("SELECT DISTINCT child FROM dependencies WHERE parent > child")
        return {int(str(child)) for (child,) in rows}

    def above(self, child: int, wanted: Callable[[int], bool]) -> list[int]:
        """What a job waits or has waited for, through any number of others, parents first.

        What is not wanted is left out, with all that only it waits for.
        """
        with self._connections.one() as connection:
            return lookups.above(connection, child, wanted)

    def environment(self, environment: int) -> dict[bytes, bytes] | None:
        """None: it is damaged, or is not there any more."""
        rows = self._all("SELECT content FROM environments WHERE id = ?", (environment,))
        return readable(unpack_environment, rows[0][0]) if rows else None

    # --- history --------------------------------------------------------------------------

    def events(self, after: int, ranges: Ranges, limit: int) -> list[EventRow]:
        """The first behind `after` that are about these jobs; no ranges: about anything.

        The ranges are sorted and do not overlap.
        """
        with self._connections.one() as connection:
            return read_events(connection, after, ranges, limit)

    def events_of(self, job: int, limit: int) -> list[EventRow]:
        """The last `limit` events of a job, oldest first."""
        rows = self._all(
            "SELECT seq, at, job, event, user, data FROM events WHERE job = ?"
            " ORDER BY seq DESC LIMIT ?",
            (job, limit),
        )
        return [EventRow(*row) for row in reversed(rows)]  # type: ignore[arg-type]

    def first_event(self) -> int:
        """The number of the oldest event that is kept; of the next one where there is none."""
        rows = self._all("SELECT seq FROM events ORDER BY seq LIMIT 1")
        return int(str(rows[0][0])) if rows else self.last_event() + 1

    def past(self, chosen: Chosen, behind: AttemptKey) -> tuple[list[Ended], AttemptKey | None]:
        """A page of finished attempts, also of removed jobs, and behind which the next begins."""
        with self._connections.view() as connection:
            return read_past(connection, chosen, behind)

    def delayed(self) -> dict[str, int]:
        """How many jobs of each group wait for nothing but their time; costs what all of these are.

        Groups of which none does are left out.
        """
        rows = self._all(
            "SELECT j.group_name, COUNT(*) FROM jobs AS j INDEXED BY jobs_due"
            f" WHERE j.state = '{State.PENDING}' AND j.due IS NOT NULL AND j.held = 0"
            f" AND j.unmet = 0 AND {VISIBLE} GROUP BY 1"
        )
        return {str(group): int(str(count)) for group, count in rows}

    # --- what retention asks --------------------------------------------------------------------

    def oldest_finished(self, state: State, limit: int) -> list[Finished]:
        """Without those that a pending job waits for."""
        rows = self._all(
            "SELECT id, state, finished_at, output_bytes FROM jobs AS j INDEXED BY jobs_kept"
            " WHERE state = ? AND finished_at > 0 AND NOT EXISTS (SELECT 1 FROM dependencies"
            " AS d JOIN jobs AS c ON c.id = d.child WHERE d.parent = j.id AND d.met = 0"
            f" AND c.state = '{State.PENDING}') ORDER BY finished_at LIMIT ?",
            (state.value, limit),
        )
        return [Finished(row[0], State(str(row[1])), *row[2:]) for row in rows]  # type: ignore[arg-type]

    def past_bounds(self) -> tuple[int, int]:
        """The numbers of the first and the last attempt of removed jobs that is kept."""
        return self._all(BOUNDS)[0]  # type: ignore[return-value]

    def finished_at(self, jobs: Sequence[int]) -> dict[int, int]:
        """When these ended, microseconds since the epoch; those that have not are left out."""
        return dict(
            self._all(  # type: ignore[arg-type]
                f"SELECT id, finished_at FROM jobs WHERE id IN {LISTED} AND finished_at > 0",
                (as_json(jobs),),
            )
        )

    def free_pages(self) -> tuple[int, int]:
        """How many pages of the file hold nothing, and how many there are."""
        free, pages = self._all("PRAGMA freelist_count"), self._all("PRAGMA page_count")
        return int(str(free[0][0])), int(str(pages[0][0]))

    # --- what a starting daemon asks ----------------------------------------------------------

    def ready(self) -> Iterator[tuple[Entry, int]]:
        """As `lookups.read_ready`, once batches that are not whole have been dropped."""
        with self._connections.one() as connection:
            yield from lookups.read_ready(connection)

    def counts(self) -> dict[State, int]:
        """From an index, whose cost is that of its small entries and not of the rows."""
        rows = self._all(f"SELECT j.state, COUNT(*) FROM jobs AS j WHERE {BY_STATE} GROUP BY 1")
        counted = {State(str(state)): int(str(count)) for state, count in rows}
        return dict.fromkeys(State, 0) | counted

    def last_id(self) -> int:
        rows = self._all("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")
        return int(str(rows[0][0])) if rows else 0

    def last_event(self) -> int:
        rows = self._all("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(str(rows[0][0])) if rows else 0

    def staged(self) -> list[tuple[int, int]]:
        return self._all("SELECT first, last FROM staged")  # type: ignore[return-value]

    def deletions(self, behind: int, limit: int) -> list[Removed]:
        """Output that may still be there, of the first jobs after `behind`."""
        with self._connections.one() as connection:
            return lookups.read_deletions(connection, behind, limit)

    def output_bytes(self, job: int) -> int:
        """What the attempts of a job that have ended left of output, as it was then."""
        rows = self._all("SELECT output_bytes FROM jobs WHERE id = ?", (job,))
        return int(str(rows[0][0])) if rows else 0

    def answer_to(self, request: bytes) -> bytes | None:
        """What a request was answered, if it has been."""
        rows = self._all("SELECT reply FROM requests WHERE id = ?", (request,))
        return bytes(rows[0][0]) if rows else None  # type: ignore[call-overload]

    def setting(self, name: str) -> str | None:
        rows = self._all("SELECT value FROM settings WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None


class _Moment(Reader):
    """Within a view that somebody has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connections = Pinned(connection)
