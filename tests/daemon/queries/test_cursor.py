"""Cursors: where a page ended, and how much may still come."""

import pytest

from jobd.contract.errors import BadRequest
from jobd.contract.models import List
from jobd.contract.states import State
from jobd.daemon.queries.cursor import Position


@pytest.mark.parametrize(
    "position",
    [
        Position(),
        Position("pending", (-100, 7), 3, 2),
        Position("finished", (-5, -9), 20, 20),
        Position("finished", None, 500, 0),
    ],
)
def test_a_cursor_leads_back_to_its_place(position):
    assert Position.of(position.cursor()) == position


@pytest.mark.parametrize(
    "cursor", ["", "running", "elsewhere:1:2:3:4", "pending:a:2:3:4", "pending:1:2"]
)
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(BadRequest, match="none of ours"):
        Position.of(cursor)


def test_limits_are_those_of_the_whole_list():
    request = List(pending=10, limit=12)
    position = Position("pending").after(4, (0, 4))
    assert position.room(request) == 6
    position = position.after(6, (0, 10))
    assert position.room(request) == 0
    position = position.after(0, None)
    assert (position.section, position.behind, position.room(request)) == ("finished", None, 2)
    assert position.after(2, None) is None
    assert Position("finished").room(List(pending=1)) is None


def test_sections_hold_states():
    assert Position("finished").may_hold([State.PENDING, State.FAILED])
    assert not Position("running").may_hold([State.PENDING, State.FAILED])
    assert Position("running").may_hold([])
