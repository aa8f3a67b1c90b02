"""The ledger: whatever happens in a transaction that fails has not happened."""

import random

import pytest

from jobd.contract.models import State
from jobd.core.ledger import Ledger
from jobd.core.ready import Entry
from jobd.core.undo import Undo


def made(workers=3):
    undo = Undo()
    return Ledger(undo, workers=workers, next_id=1), undo


def picture(ledger):
    """All that is to be the same again; the free slots are what is not taken."""
    return (
        ledger.queue.order(),
        dict(ledger.counts),
        ledger.workers,
        dict(ledger._slots),
        set(range(1, ledger._highest + 1)) - set(ledger._slots.values()) == set(ledger._free),
        len(ledger._free) == len(set(ledger._free)),
    )


def test_the_lowest_free_slot_is_given_out():
    ledger, _ = made()
    ledger.admit_many([Entry(id=job) for job in range(1, 6)])
    assert [ledger.take()[1] for _ in range(3)] == [1, 2, 3]
    assert ledger.take() is None
    ledger.release(1)
    ledger.release(2)
    assert [ledger.take()[1] for _ in range(2)] == [1, 2]


def test_nothing_is_taken_while_draining_or_without_workers():
    ledger, _ = made(workers=0)
    ledger.admit(Entry(id=1))
    assert ledger.take() is None
    ledger.set_workers(1)
    ledger.draining = True
    assert ledger.take() is None


def test_fewer_workers_let_running_ones_finish():
    ledger, _ = made()
    ledger.admit_many([Entry(id=job) for job in range(1, 6)])
    for _ in range(3):
        ledger.take()
    ledger.set_workers(1)
    ledger.release(1)
    ledger.release(2)
    assert ledger.take() is None
    ledger.release(3)
    assert ledger.take()[0].id == 4


def test_ids_are_not_given_out_again_when_they_are_undone():
    ledger, undo = made()
    assert ledger.reserve_ids(3) == 1
    undo.play()
    assert ledger.reserve_ids(1) == 4


@pytest.mark.parametrize("seed", range(20))
def test_a_transaction_that_fails_leaves_no_trace(seed):
    dice = random.Random(seed)
    ledger, undo = made()
    for _ in range(40):
        before = picture(ledger)
        for _ in range(dice.randint(1, 6)):
            _change(ledger, dice)
        if dice.random() < 0.5:
            undo.play()
            assert picture(ledger) == before
        undo.clear()
        assert all(picture(ledger)[-2:])


def _change(ledger, dice):
    running, waiting = list(ledger._slots), [entry.id for entry in ledger.queue.order()]
    choice = dice.randint(0, 5)
    if choice == 0:
        first = ledger.reserve_ids(3)
        priority = dice.choice([0, 5])
        ledger.admit_many([Entry(id=first + n, priority=priority) for n in range(3)])
        ledger.count(None, State.PENDING, 3)
    elif choice == 1 and running:
        ledger.release(dice.choice(running))
        ledger.count(State.RUNNING, State.COMPLETED)
    elif choice == 2 and waiting:
        ledger.withdraw(dice.choice(waiting))
        ledger.count(State.PENDING, State.STOPPED)
    elif choice == 3:
        ledger.set_workers(dice.randint(0, 5))
    else:
        ledger.take()
