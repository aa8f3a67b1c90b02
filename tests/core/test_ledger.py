"""The ledger: whatever happens in a transaction that fails has not happened."""

import random

import pytest

from jobd.contract.states import State
from jobd.core.gpus import Devices
from jobd.core.ledger import Ledger, Share
from jobd.core.ready_queue import Entry
from jobd.core.undo import Undo


def made(workers=3):
    undo = Undo()
    return Ledger(undo, workers=workers, next_id=1, devices=Devices([2, 0], each=2)), undo


def admit(ledger, *jobs, **kind):
    for job in jobs:
        ledger.admit(Entry(id=job, **kind))


def picture(ledger):
    """All that is to be the same again; the free slots are what is not taken."""
    return (
        ledger.queue.order(),
        dict(ledger.counts),
        ledger.workers,
        dict(ledger._running),
        ledger.busy,
        {group: busy for group, busy in ledger._occupied._by_group.items() if busy},
        {index: jobs for index, jobs in ledger.devices._jobs.items() if jobs},
        dict(ledger.groups),
        set(range(1, ledger._slots._highest + 1)) - {h.slot for h in ledger._running.values()}
        == set(ledger._slots._free),
        len(ledger._slots._free) == len(set(ledger._slots._free)),
    )


def test_what_an_earlier_daemon_left_is_entered_once_though_that_is_done_again():
    """The start shares its transaction with others, and is run again if that fails."""
    ledger, undo = made()
    fresh, pictures = picture(ledger), []
    for _ in range(2):
        undo.play()
        assert picture(ledger) == fresh
        ledger.load([(Entry(id=1), 3), (Entry(id=7), 7)], {State.PENDING: 4, State.RUNNING: 1})
        ledger.occupy(Entry(id=5, slots=2, gpus=1), 2, [0])
        pictures.append(picture(ledger))
    assert pictures[0] == pictures[1]
    assert (ledger.busy, ledger.counts[State.PENDING]) == (2, 4)
    undo.clear()
    ledger.release(5)
    assert ledger.busy == 0


def test_the_lowest_free_slot_is_given_out():
    ledger, _ = made()
    admit(ledger, *range(1, 6))
    assert [ledger.take().slot for _ in range(3)] == [1, 2, 3]
    assert ledger.take() is None
    ledger.release(1)
    ledger.release(2)
    assert [ledger.take().slot for _ in range(2)] == [1, 2]


def test_a_job_of_two_slots_takes_two_workers():
    ledger, _ = made()
    admit(ledger, 1, 2, slots=2)
    assert ledger.take().entry.id == 1
    assert (ledger.busy, ledger.take()) == (2, None)
    ledger.release(1)
    assert ledger.busy == 0
    assert ledger.take().entry.id == 2


def test_the_least_used_device_comes_first_then_the_preferred_one():
    ledger, _ = made(workers=10)
    admit(ledger, *range(1, 6), gpus=1)
    assert [ledger.take().gpus for _ in range(4)] == [(2,), (0,), (2,), (0,)]
    assert ledger.take() is None
    ledger.release(2)
    assert ledger.take().gpus == (0,)


def test_a_job_gets_distinct_devices():
    ledger, _ = made(workers=10)
    admit(ledger, 1, 2, gpus=2)
    assert [ledger.take().gpus for _ in range(2)] == [(0, 2), (0, 2)]


def test_why_a_job_has_not_started():
    ledger, _ = made(workers=2)
    ledger.set_group("a", Share(workers=1))
    admit(ledger, 1, group="a")
    assert ledger.reason(Entry(2, group="a")) == "queued"
    ledger.take()
    assert ledger.reason(Entry(2, group="a")) == "group full"
    assert ledger.reason(Entry(2)) == "queued"
    assert ledger.reason(Entry(2, slots=3)) == "resources"
    assert ledger.reason(Entry(2, gpus=3)) == "resources"
    ledger.set_group("a", Share(paused=True))
    assert ledger.reason(Entry(2, group="a")) == "group paused"
    ledger.draining = True
    assert ledger.reason(Entry(2)) == "draining"


def test_nothing_is_taken_while_draining_or_without_workers():
    ledger, _ = made(workers=0)
    ledger.admit(Entry(id=1))
    assert ledger.take() is None
    ledger.set_workers(1)
    ledger.draining = True
    assert ledger.take() is None


def test_fewer_workers_let_running_ones_finish():
    ledger, _ = made()
    admit(ledger, *range(1, 6))
    for _ in range(3):
        ledger.take()
    ledger.set_workers(1)
    ledger.release(1)
    ledger.release(2)
    assert ledger.take() is None
    ledger.release(3)
    assert ledger.take().entry.id == 4


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
    running, waiting = list(ledger._running), ledger.queue.order()
    choice = dice.randint(0, 6)
    if choice == 0:
        first = ledger.reserve_ids(3)
        kind = Entry(
            first, dice.choice([0, 5]), dice.choice(["default", "a"]), dice.randint(1, 2),
            dice.randint(0, 2),
        )  # fmt: skip
        ledger.admit_range(kind, first + 2)
        ledger.count(None, State.PENDING, 3)
    elif choice == 1 and running:
        ledger.release(dice.choice(running))
        ledger.count(State.RUNNING, State.COMPLETED)
    elif choice == 2 and waiting:
        ledger.withdraw(dice.choice(waiting))
        ledger.count(State.PENDING, State.STOPPED)
    elif choice == 3:
        ledger.set_workers(dice.randint(0, 5))
    elif choice == 4:
        share = Share(dice.randint(0, 3), dice.random() < 0.3) if dice.random() < 0.8 else None
        ledger.set_group("a", share)
    else:
        ledger.take()


def test_jobs_of_a_group_that_is_shut_let_others_pass():
    ledger, undo = made()
    admit(ledger, 1, 2, group="far", priority=9)
    admit(ledger, 3)
    undo.clear()

    def shut(group):
        return group == "far"

    assert ledger.take(shut).entry.id == 3
    assert ledger.take(shut) is None
    assert [ledger.take().entry.id for _ in range(2)] == [1, 2]
    undo.play()
    assert [entry.id for entry in ledger.queue.order()] == [1, 2, 3]
