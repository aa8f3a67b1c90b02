"""What is listed or chosen costs what is found, in a store of 200,000 jobs.

Nothing is timed: SQLite counts the steps that a statement takes.
"""

import random
import shutil

import pytest

from jobd.contract.ranges import ranges_of
from jobd.contract.states import FINISHED, UNFINISHED, State
from jobd.daemon.jobs.selection import EVERYTHING, Selection
from jobd.store.database import open_writer
from jobd.store.reader import Reader
from jobd.store.records import Filter

PENDING, COMPLETED, RARE = 100_000, 99_960, 20
JOBS = PENDING + COMPLETED + 2 * RARE
EVERY = 5000
"""Between two jobs that failed, and two that were stopped."""
PAGE = 100
STEP = 50
"""Steps of SQLite's virtual machine that are counted as one."""
ROWS = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS})
INSERT INTO jobs (id, state, reason, priority, name, user, spec, environment, submitted_at,
                  queued_at, finished_at, tags)
SELECT i,
       CASE WHEN i > {JOBS - PENDING} THEN 'pending' WHEN i % {EVERY} = 0 THEN 'failed'
            WHEN i % {EVERY} = 1 THEN 'stopped' ELSE 'completed' END,
       'queued', CASE WHEN i % 50000 = 7 THEN 100 ELSE 0 END, 'n' || (i % 1000), 'me', x'', 1, i, i,
       CASE WHEN i > {JOBS - PENDING} THEN NULL ELSE 1000 + i / 3 END,
       CASE WHEN i % {EVERY} = 0 THEN '["rare"]' END
FROM n
"""


class Counted:
    """A reader whose one connection counts what it does."""

    def __init__(self, path):
        self.reader = Reader(path)
        with self.reader._connections.one() as connection:
            connection.set_progress_handler(self._step, STEP)
        self.steps = 0

    def _step(self):
        self.steps += STEP

    def cost(self, action):
        self.steps = 0
        result = action()
        return self.steps, result

    def pages(self, section, chosen=EVERYTHING, limit=PAGE):
        """Each page of a section with its cost."""
        behind = None
        while True:
            steps, (rows, behind) = self.cost(
                lambda behind=behind: self.reader.page(section, chosen, behind, limit)
            )
            yield steps, [row.id for row in rows]
            if behind is None:
                return


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "store.db"
    writer = open_writer(path, durable=False)
    writer.execute("INSERT INTO environments VALUES (1, x'', x'', 1)")
    writer.execute(ROWS)
    writer.close()
    return path


@pytest.fixture
def counted(path):
    made = Counted(path)
    yield made
    made.reader.close()


@pytest.fixture
def cheap(counted):
    """What a full page costs at the beginning of a list, twice."""
    steps, _ = next(counted.pages("finished"))
    return 2 * steps


def in_order(section):
    def state_of(job):
        if job > JOBS - PENDING:
            return "pending"
        return {0: "failed", 1: "stopped"}.get(job % EVERY, "completed")

    ids = [
        job for job in range(1, JOBS + 1) if (state_of(job) == "pending") is (section == "pending")
    ]
    if section == "pending":
        return sorted(ids, key=lambda job: (job % 50000 != 7, job))
    return sorted(ids, key=lambda job: (1000 + job // 3, job), reverse=True)


@pytest.mark.parametrize("section", ["pending", "finished"])
def test_ids_alone_are_those_of_the_pages_and_cost_a_few_steps_each(counted, section):
    with counted.reader.id_pages() as page:
        steps, (ids, behind) = counted.cost(lambda: page(section, EVERYTHING, None, JOBS))
    assert ids == in_order(section)
    assert behind is None
    assert steps < 25 * len(ids)


@pytest.mark.parametrize(
    "chosen",
    [
        EVERYTHING,
        Filter(states=(State.PENDING,)),
        Filter(states=(State.FAILED, State.STOPPED)),
        Filter(tags=("rare",)),
        Filter(states=(State.PENDING,), name="n1*"),
    ],
)
def test_ranges_are_the_ids_that_are_meant(counted, chosen):
    selection = Selection(counted.reader)
    for meant in ([], [(3, 70_000)], [(1, 9), (4990, 5001), (99_000, 101_000)]):
        ids = [job for job, _ in selection.jobs(meant, chosen)]
        assert selection.ranges(meant, chosen) == ranges_of(ids)


@pytest.mark.parametrize("section", ["pending", "finished"])
def test_every_page_costs_the_same_and_all_are_the_whole(counted, cheap, section):
    costs, pages = zip(*counted.pages(section), strict=True)
    assert [job for page in pages for job in page] == in_order(section)
    assert max(costs) < cheap


def test_a_batch_that_is_being_written_is_passed_over_in_one_step(path, cheap, tmp_path):
    copy = tmp_path / "store.db"
    shutil.copy(path, copy)
    first, last = JOBS - PENDING + 11, JOBS - 10
    writer = open_writer(copy, durable=False)
    writer.execute("INSERT INTO staged VALUES (?, ?, 1)", (first, last))
    writer.close()
    counted = Counted(copy)
    costs, pages = zip(*counted.pages("pending", limit=3), strict=True)
    seen = [job for page in pages for job in page]
    assert seen == [job for job in in_order("pending") if not first <= job <= last]
    assert len(pages) < 20
    assert max(costs) < cheap
    entry = counted.reader.job(JOBS).entry
    steps, ahead = counted.cost(lambda: counted.reader.ahead_of(entry, None, 500))
    assert ahead == (10, True)
    assert steps < 10 * cheap
    counted.reader.close()


@pytest.mark.parametrize("state", [State.FAILED, State.STOPPED])
def test_the_few_that_failed_are_found_at_once(counted, cheap, state):
    pages = list(counted.pages("finished", Filter(states=(state,))))
    assert [len(page) for _, page in pages] == [RARE]
    assert pages[0][0] < cheap


def test_those_of_two_states_are_merged(counted):
    chosen = Filter(states=(State.FAILED, State.STOPPED))
    found = [job for _, page in counted.pages("finished", chosen, limit=7) for job in page]
    assert found == [job for job in in_order("finished") if job % EVERY in (0, 1)]


@pytest.mark.parametrize("section", ["pending", "finished"])
@pytest.mark.parametrize(
    "chosen",
    [
        Filter(ranges=((1, JOBS),)),
        Filter(ranges=((10, 60_000), (90_000, 120_000))),
        Filter(tags=("rare",)),
        Filter(name="n77"),
        Filter(groups=("none",)),
        Filter(since=JOBS - 10),
    ],
)
def test_a_filter_passes_over_a_bounded_number(counted, cheap, section, chosen):
    """Each page looks at 10,000 jobs at most, and all pages together find what there is."""
    costs, pages = zip(*counted.pages(section, chosen, 500), strict=True)
    assert max(costs) < 10_000 / PAGE * cheap
    meant = {
        job
        for job in range(1, JOBS + 1)
        if (not chosen.ranges or any(low <= job <= high for low, high in chosen.ranges))
        and (not chosen.tags or job % EVERY == 0)
        and (not chosen.name or job % 1000 == 77)
        and not chosen.groups
        and job >= (chosen.since or 0)
    } & set(in_order(section))
    found = [job for page in pages for job in page]
    assert found == [job for job in in_order(section) if job in meant]


def test_few_ids_are_looked_up(counted, cheap):
    """Also where they stand at the very end of a list."""
    some = sorted(random.Random(1).sample(range(1, JOBS - PENDING), PAGE))
    chosen = Filter(ranges=tuple((job, job) for job in some))
    pages = list(counted.pages("finished", chosen))
    assert pages[0][1] == sorted(some, key=lambda job: (1000 + job // 3, job), reverse=True)
    assert sum(steps for steps, _ in pages) < 2 * cheap


def test_ids_are_chosen_page_by_page(counted, cheap):
    selection, total = Selection(counted.reader), 0
    steps, found = counted.cost(lambda: counted.reader.select(Filter(states=UNFINISHED), PAGE))
    assert [job for job, _ in found] == list(range(JOBS - PENDING + 1, JOBS - PENDING + PAGE + 1))
    assert steps < cheap
    total, found = counted.cost(lambda: list(selection.jobs([], Filter(states=UNFINISHED))))
    assert len(found) == PENDING
    assert total < 2 * PENDING / PAGE * cheap
    steps, found = counted.cost(lambda: list(selection.jobs([], Filter(states=(State.FAILED,)))))
    assert [job for job, _ in found] == list(range(EVERY, JOBS - PENDING + 1, EVERY))
    assert steps < cheap


def test_whether_one_is_left_is_one_look(counted, cheap):
    steps, job = counted.cost(lambda: counted.reader.one_of(UNFINISHED, [(1, JOBS)]))
    assert job == JOBS
    assert steps < cheap / 10
    ranges = [(low, low + 90) for low in range(1, JOBS - PENDING, 1000)]
    steps, job = counted.cost(lambda: counted.reader.one_of(UNFINISHED, ranges))
    assert job is None
    assert steps < 2 * cheap
    assert counted.reader.one_of((State.FAILED,), [(1, 100), (4990, 5010), (5020, 5030)]) == 5000


def test_counts_are_those_of_the_ranges(counted):
    counts = counted.reader.count_within([(1, 10_000), (JOBS, JOBS + 5)])
    assert counts == {
        State.PENDING: 1, State.RUNNING: 0, State.COMPLETED: 9996,
        State.FAILED: 2, State.STOPPED: 2,
    }  # fmt: skip
    assert counted.reader.counts() == counted.reader.count_within([(1, JOBS)])


def test_the_place_in_the_queue_is_counted_up_to_a_cap(counted, cheap):
    order = in_order("pending")
    for place in (0, 1, 5, 500):
        entry = counted.reader.job(order[place]).entry
        steps, found = counted.cost(lambda entry=entry: counted.reader.ahead_of(entry, None, 1000))
        assert found == (place, False)
        assert steps < 10 * cheap
    last = counted.reader.job(order[-1])
    steps, found = counted.cost(lambda: counted.reader.ahead_of(last.entry, None, 1000))
    assert found[1]
    assert steps < 10 * cheap


@pytest.fixture(scope="module")
def history(path):
    """Each of 20,000 jobs is submitted, then each ends; one has reported progress all the time."""
    writer = open_writer(path, durable=False)
    for event in ("submitted", "completed"):
        writer.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)"
            " INSERT INTO events (at, job, event, user)"
            f" SELECT i, iif(i % 2, i / 2 + 1, 7), iif(i % 2, '{event}', 'progress'), '' FROM n"
        )
    rows = writer.execute("SELECT seq, job, event FROM events").fetchall()
    writer.close()
    return rows


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [(9, 9)],
        [(7, 7)],
        [(8, 30), (19_990, 20_000)],
        [(8, 20_000)],
        [(10, 9_000), (15_000, 15_500)],
        [(30_000, 90_000)],
    ],
)
def test_pages_of_the_history_are_all_of_it(counted, history, ranges):
    after, found, costs = history[0][0] - 1, [], []
    while True:
        steps, page = counted.cost(lambda after=after: counted.reader.events(after, ranges, 1000))
        costs.append(steps)
        if not page:
            break
        found += [(row.seq, row.job, row.event) for row in page]
        after = page[-1].seq
    meant = {job for low, high in ranges for job in range(low, high + 1)}
    last = history[-1][0]
    assert [row for row in found if row[0] <= last] == [
        row for row in history if not ranges or row[1] in meant
    ]
    if not ranges or len(meant) <= 50:
        assert max(costs) < 30_000


def test_the_latest_start_is_found_behind_a_long_history(path, counted, cheap):
    writer = open_writer(path, durable=False)
    for event, count in (("started", 3), ("submitted", 50_000)):
        writer.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
            f" INSERT INTO events (at, job, event, user) SELECT i, i, '{event}', '' FROM n"
        )
    writer.close()
    steps, job = counted.cost(counted.reader.latest_started)
    assert (job, steps < cheap) == (3, True)
    assert set(FINISHED) | set(UNFINISHED) == set(State)


def test_pages_of_one_view_are_of_one_moment(counted, path):
    """A job that moves from a section not read yet into one that was: it is seen once."""
    job = in_order("pending")[0]
    chosen = Filter(ranges=((job, job),))
    with counted.reader.pages() as page:
        before = page("running", chosen, None, 1)
        writer = open_writer(path, durable=False)
        change = "UPDATE jobs SET state = ?, started_at = ? WHERE id = ?"
        writer.execute(change, ("running", 1, job))
        found = [row.id for row in page("pending", chosen, None, 1)[0]]
        writer.execute(change, ("pending", None, job))
        writer.close()
    assert (before, found) == (([], None), [job])
