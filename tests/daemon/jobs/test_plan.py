"""What a submit means, before the queue is asked: pure, so nothing runs here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.contract.errors import BadRequest
from jobd.contract.models import Command, Graph, Node, Options, Submit
from jobd.core.ready_queue import Entry
from jobd.daemon.jobs.plan import PIECE, plan_graph, plan_submit
from jobd.store.records import Parent, pack_environment

LINE = Command(argv=[b"true"], shell=True)


def submit(count=1, array=(), environment=None, **options):
    request = Submit(
        commands=[LINE] * count,
        options=Options(**options),
        cwd=b"/",
        environment=environment or {},
        array=list(array),
    )
    return plan_submit(request, "me", pack_environment)


def graph(*nodes, environment=None):
    return plan_graph(
        Graph(nodes=list(nodes), environment=environment or {}), "me", pack_environment
    )


def node(*parents, parents_any=(), command=LINE, **given):
    return Node(
        command=command, cwd=b"/", parents=list(parents), parents_any=list(parents_any), **given
    )


def places(pieces):
    """The places of all jobs, piece by piece."""
    return [
        [span.place + n for span in piece for n in range(len(span.numbers))] for piece in pieces
    ]


# --- pieces -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "at_once"),
    [
        (submit(), True),
        (submit(PIECE), True),
        (submit(PIECE + 1), False),
        (submit(1, after=[(1, 9000)]), True),
        (submit(100, after=[(1, 20)], after_any=[(21, 50)]), True),
        (submit(100, after=[(1, 20)], after_any=[(21, 51)]), False),
        (submit(array=[(1, 2)]), False),
        (graph(node()), False),
    ],
)
def test_what_one_transaction_is_enough_for(plan, at_once):
    assert plan.at_once is at_once


@given(
    st.one_of(
        st.integers(1, 1300).map(submit),
        st.lists(st.integers(0, 6000), min_size=1, max_size=20).map(
            lambda widths: submit(array=[(n * 10**4, n * 10**4 + w) for n, w in enumerate(widths)])
        ),
        st.integers(1, 1300).map(lambda count: graph(*[node()] * count)),
    ),
    st.integers(0, 6000),
)
def test_pieces_hold_each_job_once_and_in_order_and_none_is_too_long(plan, links):
    found = places(plan.pieces([links] * len(plan.parts)))
    assert [place for piece in found for place in piece] == list(range(plan.count))
    assert all(0 < len(piece) <= (2500 if plan.array else 500) for piece in found)
    assert all(len(piece) == 1 or len(piece) * links <= 5000 for piece in found)


def test_what_nodes_wait_for_inside_the_graph_counts_as_well():
    """Each of the last ten waits for all the others: these are many rows for few jobs."""
    plan = graph(*[node()] * 2000, *[node(*range(2000))] * 10)
    assert [len(piece) for piece in places(plan.pieces([0] * 2010))] == [500] * 4 + [2] * 5


def test_scattered_indexes_share_a_piece():
    """A transaction for each of them would be a sync of the disk for each of them."""
    plan = submit(array=[(2 * n, 2 * n) for n in range(3000)])
    pieces = list(plan.pieces([0]))
    assert [len(piece) for piece in places(pieces)] == [2500, 500]
    drafts = plan.drafts(pieces[1])
    assert [(draft.place, list(draft.indexes)) for draft in drafts][:2] == [
        (2500, [5000]),
        (2501, [5002]),
    ]


# --- drafts -------------------------------------------------------------------------------------


def test_a_draft_has_all_that_was_asked_for():
    plan = submit(2, name="n", tags=["a", "b", "a"], slots=2, priority=5, hold=True, key=None)
    (draft,) = plan.drafts(plan.spans())
    assert [spec.argv for spec in draft.specs] == [[b"true"]] * 2
    assert (draft.indexes, draft.environment) == (None, None)
    terms = draft.terms
    assert (terms.user, terms.name, terms.tags) == ("me", "n", ("a", "b"))
    assert (terms.slots, terms.priority, terms.held) == (2, 5, True)


def test_elements_of_an_array_share_what_they_run():
    plan = submit(array=[(5, 7), (1, 1)])
    drafts = plan.drafts(plan.spans())
    assert [(draft.place, draft.indexes, draft.specs) for draft in drafts] == [
        (0, range(5, 8), []),
        (3, range(1, 2), []),
    ]
    assert plan.shared.argv == [b"true"]


def test_a_delay_counts_from_when_it_is_written_and_a_time_does_not():
    (delayed,) = submit(delay=2.5).drafts(submit().spans())
    assert delayed.terms_at(1_000_000, 1, []).due == 3_500_000
    (fixed,) = submit(at=7.0).drafts(submit().spans())
    assert fixed.terms_at(1_000_000, 1, []).due == 7_000_000
    assert fixed.terms_at(8_000_000, 1, []).due is None


def test_what_it_waits_for_is_counted_when_it_is_written():
    (draft,) = submit().drafts(submit().spans())
    parents = [
        Parent(3, any_end=False, met=True),
        Parent(4, any_end=False, met=False),
        Parent(5, any_end=False, met=False, failed=True),
    ]
    terms = draft.terms_at(0, 7, parents)
    assert (terms.environment, terms.parents, terms.unmet) == (7, 3, 2)
    assert terms.failed == "dependency failed: 5"
    assert draft.terms_at(0, 7, []).failed is None


def test_a_node_has_the_environment_of_the_graph_and_its_own():
    plan = graph(node(), node(variables={b"B": b"2"}), environment={b"A": b"1", b"B": b"1"})
    plain, own = plan.drafts(plan.spans())
    assert plain.environment is None
    assert own.environment == pack_environment({b"A": b"1", b"B": b"2"})


def test_completion_counts_where_a_node_waits_for_both():
    plan = graph(node(), node(), node(1, parents_any=[0, 1]))
    assert list(plan.parts[2].inside) == [(0, True), (1, False)]


# --- of all -------------------------------------------------------------------------------------


def test_jobs_that_wait_for_nothing_but_their_turn_are_alike():
    assert submit(3, priority=4, group="g").alike(9) == Entry(9, 4, "g")


@pytest.mark.parametrize(
    "options",
    [{"hold": True}, {"delay": 1.0}, {"at": 5.0}, {"after": [(1, 1)]}, {"after_any": [(1, 2)]}],
)
def test_jobs_that_wait_for_something_else_are_looked_at_one_by_one(options):
    assert submit(**options).alike(9) is None


def test_nodes_are_looked_at_one_by_one():
    assert graph(node()).alike(9) is None


def test_a_shell_line_cannot_be_a_script_in_a_graph_either():
    script = Command(argv=[b"true"], shell=True, script=b"#!/bin/sh\n")
    with pytest.raises(BadRequest, match=r"^job 2 of the graph: --script: a shell line cannot be"):
        graph(node(), node(command=script))
    with pytest.raises(BadRequest, match=r"^--script: a shell line cannot be"):
        plan_submit(Submit(commands=[script], cwd=b"/"), "me", pack_environment)
