"""Which jobs are meant: read in pages, and kept so that no thread waits for a million of them."""

import gc

from jobd.contract.models import Selector
from jobd.contract.states import State
from jobd.daemon.jobs.selection import Selection

COUNT = 12_345


class Store:
    """So many jobs that wait, none of them for another."""

    def __init__(self):
        self.pages = 0

    def select(self, chosen, limit):
        self.pages += 1
        first = chosen.ranges[0][0]
        return [(job, State.PENDING) for job in range(first, min(first + limit, COUNT + 1))]

    def upwards(self):
        return set()


def test_all_are_read_page_by_page():
    store = Store()
    ids, missing = Selection(store).resolve(Selector(all=True))
    assert (list(ids), missing) == (list(range(1, COUNT + 1)), [])
    assert store.pages == 3


def test_their_ids_are_not_looked_through_for_cycles_nor_copied():
    """That of a list of a million takes many milliseconds, in which no other thread runs."""
    selection = Selection(Store())
    ids, _ = selection.resolve(Selector(all=True))
    assert len(gc.get_referents(ids)) <= 1
    assert selection.parents_first(ids, lambda _: True) is ids
