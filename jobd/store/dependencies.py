"""Who waits for whom, on disk. Called by the writer's thread alone, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from jobd.contract.states import UNFINISHED, State
from jobd.store.conditions import FAILING, MET, VISIBLE, names
from jobd.store.records import Parent


class Dependencies:
    """Which job waits for which, and whose end is still to be passed on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._some = self._any()
        """Whether a job may wait for another one, or have waited; never falsely False, since nobody
        else writes here. Where nobody does, an end asks nothing.
        """

    def _any(self) -> bool:
        (some,) = self._db.execute("SELECT EXISTS (SELECT 1 FROM dependencies)").fetchone()
        return bool(some)

    # --- submit ---------------------------------------------------------------------------

    def states(self, first: int, last: int, limit: int) -> list[tuple[int, State]]:
        """The jobs of a range that everybody can see, at most so many."""
        rows = self._db.execute(
            f"SELECT id, state FROM jobs AS j WHERE id BETWEEN ? AND ? AND {VISIBLE}"
            " ORDER BY id LIMIT ?",
            (first, last, limit),
        )
        return [(job, State(state)) for job, state in rows]

    def add(self, children: Iterable[int], parents: Sequence[Parent]) -> None:
        if not parents:
            return
        self._some = True
        self._db.executemany(
            "INSERT INTO dependencies VALUES (?, ?, ?, ?)",
            [(child, p.id, p.any_end, p.met) for child in children for p in parents],
        )

    def forget(self, child: int) -> None:
        self._db.execute("DELETE FROM dependencies WHERE child = ?", (child,))

    def refresh(self, child: int) -> tuple[int, int | None]:
        """Look again at what a job waits for: how many are not met, and one that has failed.

        Parents that have been removed are no longer waited for; those that are to end once more
        are waited for once more.
        """
        self._db.execute(
            "UPDATE dependencies SET met = 0 WHERE child = ? AND met = 1 AND EXISTS"
            f" (SELECT 1 FROM jobs AS j WHERE j.id = parent AND j.state IN ({names(UNFINISHED)}))",
            (child,),
        )
        self._db.execute(
            "DELETE FROM dependencies WHERE child = ? AND met = 0"
            " AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = parent)",
            (child,),
        )
        self._db.execute(
            "UPDATE dependencies SET met = 1 WHERE child = ? AND met = 0 AND EXISTS"
            f" (SELECT 1 FROM jobs AS j WHERE j.id = parent AND {MET})",
            (child,),
        )
        (unmet,) = self._db.execute(
            "SELECT COUNT(*) FROM dependencies WHERE child = ? AND met = 0", (child,)
        ).fetchone()
        return unmet, self.failing(child)

    def failing(self, child: int) -> int | None:
        """The first parent that can no longer be what the job waits for."""
        row = self._db.execute(
            "SELECT parent FROM dependencies JOIN jobs AS j ON j.id = parent"
            f" WHERE child = ? AND met = 0 AND {FAILING} ORDER BY parent LIMIT 1",
            (child,),
        ).fetchone()
        return None if row is None else int(row[0])

    def of(self, child: int) -> list[Parent]:
        rows = self._db.execute(
            "SELECT parent, finished, met FROM dependencies WHERE child = ? ORDER BY parent",
            (child,),
        )
        return [Parent(parent, bool(any_end), bool(met)) for parent, any_end, met in rows]

    def leads_to(self, child: int, parents: Sequence[int]) -> list[int] | None:
        """The way from one of the parents up to the child, if waiting for it were a circle.

        What has been waited for counts, too: jobs that run again wait again.
        """
        if all(parent < child for parent in parents) and not self._upwards():
            return None
        came_from: dict[int, int] = {}
        open_ends = list(parents)
        while open_ends:
            job = open_ends.pop()
            if job == child:
                way = [job]
                while way[-1] in came_from:
                    way.append(came_from[way[-1]])
                return way
            for parent in self._parents_of(job):
                if parent not in came_from:
                    came_from[parent] = job
                    open_ends.append(parent)
        return None

    def _upwards(self) -> bool:
        """Whether anybody waits for a job with a higher id: there is no circle without one."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM dependencies WHERE parent > child)"
        ).fetchone()
        return bool(row[0])

    def _parents_of(self, child: int) -> list[int]:
        rows = self._db.execute("SELECT parent FROM dependencies WHERE child = ?", (child,))
        return [parent for (parent,) in rows]

    # --- an end that others have waited for ---------------------------------------------------

    def waiting(self, parent: int, limit: int) -> list[int]:
        """Pending jobs that wait for this one."""
        rows = self._db.execute(
            "SELECT child FROM dependencies JOIN jobs AS j ON j.id = child"
            f" WHERE parent = ? AND met = 0 AND j.state = '{State.PENDING}' ORDER BY child LIMIT ?",
            (parent, limit),
        )
        return [child for (child,) in rows]

    def awaited(self, jobs: Sequence[int]) -> list[int]:
        """Those of the jobs that others wait for."""
        rows = self._db.execute(
            "SELECT value FROM json_each(?) AS j WHERE EXISTS"
            " (SELECT 1 FROM dependencies WHERE parent = j.value AND met = 0)",
            (msgspec.json.encode(jobs).decode(),),
        )
        return [job for (job,) in rows]

    def note_change(self, parent: int) -> bool:
        """Its dependants have to be told, if it has any."""
        if not self._some:
            return False
        done = self._db.execute(
            "INSERT INTO settling (parent) SELECT parent FROM dependencies"
            " WHERE parent = ? AND met = 0 LIMIT 1 ON CONFLICT (parent) DO UPDATE SET behind = 0",
            (parent,),
        )
        return done.rowcount > 0

    def next_change(self) -> tuple[int, int, State | None] | None:
        """A parent, behind which of its dependants to go on, and its state; None: all are told."""
        row = self._db.execute(
            "SELECT parent, behind, j.state FROM settling LEFT JOIN jobs AS j ON j.id = parent"
            " ORDER BY parent LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], row[1], None if row[2] is None else State(row[2]))

    def children(self, parent: int, behind: int, limit: int) -> list[tuple[int, bool]]:
        """The next dependants whose wait is not over, and whether any end is enough for them."""
        rows = self._db.execute(
            "SELECT child, finished FROM dependencies"
            " WHERE parent = ? AND child > ? AND met = 0 ORDER BY child LIMIT ?",
            (parent, behind, limit),
        )
        return [(child, bool(any_end)) for child, any_end in rows]

    def told(self, parent: int, behind: int | None) -> None:
        """Up to this dependant; None: all of them."""
        if behind is None:
            self._db.execute("DELETE FROM settling WHERE parent = ?", (parent,))
        else:
            self._db.execute("UPDATE settling SET behind = ? WHERE parent = ?", (behind, parent))

    def meet(self, child: int, parent: int) -> None:
        self._db.execute(
            "UPDATE dependencies SET met = 1 WHERE child = ? AND parent = ?", (child, parent)
        )
