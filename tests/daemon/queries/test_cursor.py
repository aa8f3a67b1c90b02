"""Cursors: where a page ended, and how much may still come."""

import pytest

from jobd.contract.errors import BadRequest
from jobd.contract.models import List
from jobd.contract.states import State
from jobd.daemon.queries.cursor import Place


@pytest.mark.parametrize(
    "place",
    [
        Place(),
        Place("pending", (-100, 7), 3, 2),
        Place("finished", (-5, -9), 20, 20),
        Place("finished", None, 500, 0),
    ],
)
def test_a_cursor_leads_back_to_its_place(place):
    assert Place.of(place.cursor()) == place


@pytest.mark.parametrize(
    "cursor", ["", "running", "elsewhere:1:2:3:4", "pending:a:2:3:4", "pending:1:2"]
)
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(BadRequest, match="none of ours"):
        Place.of(cursor)


def test_limits_are_those_of_the_whole_list():
    request = List(pending=10, limit=12)
    place = Place("pending").after(4, (0, 4))
    assert place.room(request) == 6
    place = place.after(6, (0, 10))
    assert place.room(request) == 0
    place = place.after(0, None)
    assert (place.section, place.behind, place.room(request)) == ("finished", None, 2)
    assert place.after(2, None) is None
    assert Place("finished").room(List(pending=1)) is None


def test_sections_hold_states():
    assert Place("finished").may_hold([State.PENDING, State.FAILED])
    assert not Place("running").may_hold([State.PENDING, State.FAILED])
    assert Place("running").may_hold([])
