"""An answer is that of one moment: what moves while it is read is neither missed nor doubled."""

import pytest

from jobd.contract.states import UNFINISHED
from jobd.store.arrays import ArrayRow, counts_of
from jobd.store.records import Filter
from tests.store.meddled import Meddled

STATEMENTS = range(6)
"""Before which something may happen: more than any answer here has."""
LEFT = Filter(states=UNFINISHED)


@pytest.fixture
def store(tmp_path):
    made = Meddled(tmp_path / "db")
    yield made
    made.close()


def listed(reader):
    with reader.id_pages() as page:
        return [
            job for section in ("running", "pending") for job in page(section, LEFT, None, 9)[0]
        ]


def counted(reader):
    with reader.moment() as moment:
        return sum(counts_of(moment, ArrayRow(1, 1)).values())


READS = {
    "one_of": (lambda reader: reader.one_of(UNFINISHED, [(1, 9)]), 1),
    "count_within": (lambda reader: sum(reader.count_within([(1, 9)]).values()), 1),
    "select": (lambda reader: [job for job, _ in reader.select(LEFT, 9)], [1]),
    "ranges": (lambda reader: reader.ranges(LEFT, 1, 9), [(1, 1)]),
    "id_pages": (listed, [1]),
    "counts_of": (counted, 1),
}


@pytest.mark.parametrize("at", STATEMENTS)
@pytest.mark.parametrize(("before", "after"), [("running", "pending"), ("pending", "running")])
@pytest.mark.parametrize("read", READS)
def test_a_job_that_is_put_back_or_starts_is_there_all_the_time(store, read, before, after, at):
    ask, answer = READS[read]
    store.submit()
    store.commit(before)
    store.meddle(at, lambda: store.commit(after))
    assert ask(store.reader) == answer


@pytest.mark.parametrize("at", STATEMENTS)
def test_a_page_of_the_history_has_no_gap(store, at):
    """Whoever goes on behind it would never hear of what was left out."""
    for _ in range(3):
        store.submit()
    heard = []

    def both():
        store.commit("completed", job=1, event="completed")
        store.commit("completed", job=3, event="completed")

    store.meddle(at, both)
    for _ in range(4):
        heard += store.reader.events(heard[-1].seq if heard else 0, [(1, 3)], 9)
    assert store.is_done
    assert [(row.seq, row.job) for row in heard] == [(1, 1), (2, 3)]


def test_a_moment_within_a_moment_is_the_same(store):
    store.submit()
    with store.reader.moment() as reader:
        assert reader.count_within([(1, 1)]) == store.reader.count_within([(1, 1)])
        store.commit("completed")
        with reader.moment() as again:
            assert again.one_of(UNFINISHED, [(1, 9)]) == 1
        assert reader.one_of(UNFINISHED, [(1, 9)]) == 1
        assert store.reader.one_of(UNFINISHED, [(1, 9)]) is None
