"""Which number a running job has: the lowest that is free, whatever came and went."""

from hypothesis import given
from hypothesis import strategies as st

from jobd.core.slots import Occupied, Slots


def test_the_lowest_free_number_is_given_first():
    slots = Slots()
    assert [slots.take() for _ in range(3)] == [1, 2, 3]
    slots.give_back(2)
    slots.give_back(1)
    assert [slots.take() for _ in range(3)] == [1, 2, 4]


def test_what_an_earlier_daemon_gave_is_kept_and_the_gaps_are_free():
    slots = Slots()
    for slot in (4, 2):
        slots.keep(slot)
    assert [slots.take() for _ in range(3)] == [1, 3, 5]


def test_what_is_taken_back_by_an_undoing_is_not_given_again():
    slots = Slots()
    assert [slots.take(), slots.take()] == [1, 2]
    slots.give_back(1)
    slots.keep(1)
    assert slots.take() == 3


@given(st.lists(st.one_of(st.just("take"), st.integers(0, 20)), max_size=60))
def test_no_number_is_given_twice_and_none_is_passed_by(steps):
    slots, taken = Slots(), []
    for step in steps:
        if step == "take":
            slot = slots.take()
            assert slot == min(set(range(1, len(taken) + 2)) - set(taken))
            taken.append(slot)
        elif taken:
            slots.give_back(taken.pop(step % len(taken)))


def test_workers_are_counted_in_all_and_in_each_group():
    occupied = Occupied()
    occupied.add("a", 3)
    occupied.add("b", 1)
    occupied.add("a", -2)
    assert (occupied.total, occupied.within("a"), occupied.within("b")) == (2, 1, 1)
    assert occupied.within("c") == 0
