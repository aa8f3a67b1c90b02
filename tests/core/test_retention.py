"""Which finished jobs are unwanted: by age, number and bytes, in general and for a state alone."""

import pytest

from jobd.contract.config import Duration, Limits, Retention, Size
from jobd.contract.states import State
from jobd.core.retention import Finished, Kept, policy_of

C, F, S = State.COMPLETED, State.FAILED, State.STOPPED
SECOND = 1_000_000
NOW = 1_000_000 * SECOND


def jobs(*states, output=0):
    """One finished each second, the last one just now; ids from 1."""
    return [
        Finished(number, state, NOW - (len(states) - number) * SECOND, output)
        for number, state in enumerate(states, start=1)
    ]


def kept_of(found):
    count, output = dict.fromkeys((C, F, S), 0), dict.fromkeys((C, F, S), 0)
    for job in found:
        count[job.state] += 1
        output[job.state] += job.output
    return Kept(count, output)


def chosen(found, **limits):
    policy = policy_of(Retention(**limits))
    return [job.id for job in policy.choose(found, kept_of(found), NOW)]


def test_nothing_is_chosen_by_default():
    policy = policy_of(Retention())
    assert not policy
    assert policy.choose(jobs(C, F, S), kept_of(jobs(C, F, S)), NOW) == []
    assert policy.states(kept_of(jobs(C, F, S))) == set()


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        ({"max_jobs": 5}, []),
        ({"max_jobs": 3}, [1, 2]),
        ({"max_jobs": 0}, []),
        ({"max_output": Size(50)}, []),
        ({"max_output": Size(25)}, [1, 2, 3]),
        ({"max_output": Size(1)}, [1, 2, 3, 4, 5]),
        ({"max_age": Duration(2.5)}, [1, 2]),
        ({"max_age": Duration(2)}, [1, 2, 3]),
        ({"max_age": Duration(9), "max_jobs": 4, "max_output": Size(20)}, [1, 2, 3]),
    ],
)
def test_the_oldest_go_first(limits, gone):
    found = jobs(C, F, C, S, C, output=10)
    assert chosen(found, **limits) == gone
    assert chosen(list(reversed(found)), **limits) == gone


@pytest.mark.parametrize(
    ("own", "gone"),
    [
        ({"max_jobs": 2}, [1, 2]),  # two failed ones stay, and three of the others
        ({"max_jobs": 1}, [1, 2, 4]),
        ({"max_jobs": 0}, [1]),  # every failed one stays
        ({"max_age": Duration(9)}, [1, 2, 3, 4]),  # an age alone: the number counts them as before
        ({"max_age": Duration(1)}, [1, 2, 3, 4, 6]),
    ],
)
def test_a_state_with_a_limit_of_its_own_is_measured_by_that_alone(own, gone):
    found = jobs(C, F, S, F, C, F, C)
    assert chosen(found, max_jobs=3, failed=Limits(**own)) == gone


def test_a_state_may_outlive_the_general_age():
    found = jobs(C, F, C)
    assert chosen(found, max_age=Duration(1), failed=Limits(max_age=Duration(90))) == [1]
    assert chosen(found, max_age=Duration(1), failed=Limits(max_age=Duration(0))) == [1]


def test_only_states_that_may_hold_something_unwanted_are_looked_at():
    found = jobs(C, C, F)
    policy = policy_of(Retention(max_jobs=5, completed=Limits(max_jobs=1)))
    assert policy.states(kept_of(found)) == {C}
    aged = policy_of(Retention(failed=Limits(max_age=Duration(1))))
    assert aged.states(kept_of(found)) == {F}


@pytest.mark.parametrize(
    ("limits", "there", "are_too_many"),
    [
        ({"max_jobs": 3}, {C: 2, F: 1}, False),
        ({"max_jobs": 3}, {C: 2, F: 2}, True),
        ({"max_jobs": 3, "failed": Limits(max_jobs=2)}, {C: 3, F: 2}, False),
        ({"max_jobs": 3, "failed": Limits(max_jobs=2)}, {C: 0, F: 3}, True),
        ({"max_age": Duration(1), "max_output": Size(1)}, {C: 9, F: 9}, False),
    ],
)
def test_whether_there_are_too_many_is_known_without_their_output(limits, there, are_too_many):
    assert policy_of(Retention(**limits)).too_many({S: 0} | there) == are_too_many


def test_how_soon_a_job_may_be_too_old():
    assert policy_of(Retention(max_jobs=1)).soonest is None
    own = {"failed": Limits(max_age=Duration(10))}
    assert policy_of(Retention(max_age=Duration(100), **own)).soonest == 10 * SECOND


def test_the_next_expiry_is_that_of_the_first():
    policy = policy_of(Retention(max_age=Duration(100), failed=Limits(max_age=Duration(10))))
    found = jobs(C, F, S)
    assert policy.next_expiry(found) == NOW - SECOND + 10 * SECOND
    assert policy.next_expiry(found[:1]) == NOW - 2 * SECOND + 100 * SECOND
    assert policy.next_expiry([]) is None
    assert policy_of(Retention(max_jobs=1)).next_expiry(found) is None
