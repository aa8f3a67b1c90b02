"""What a list has given already, as a set of ids."""

from hypothesis import given
from hypothesis import strategies as st

from jobd.contract.id_set import IdSet
from jobd.contract.ranges import ids_in

IDS = st.integers(1, 3000)


@given(st.lists(st.tuples(IDS, IDS), max_size=6), st.lists(IDS, max_size=6))
def test_of_each_run_only_what_is_new_is_given_in_its_order(runs, single):
    seen, model = IdSet(), set(single)
    for job in single:
        seen.add(job)
    for run in runs:
        given_now = [job for fresh in seen.take(run) for job in ids_in(fresh)]
        assert given_now == [job for job in ids_in(run) if job not in model]
        model.update(ids_in(run))
    assert [job for job in range(1, 3001) if job in seen] == sorted(model)


def test_ids_that_stand_far_apart_cost_what_they_are():
    seen = IdSet()
    assert seen.take((2**63 - 1, 2**63 - 1)) == [(2**63 - 1, 2**63 - 1)]
    assert seen.take((2**63 - 1, 2**63 - 1)) == []
    assert 2**63 - 1 in seen
    assert 1 not in seen
