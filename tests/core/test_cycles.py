"""Circles of jobs that wait for each other: found, and soon, however long they are."""

import pytest

from jobd.core.cycles import circle


class Place(int):
    """Counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Place.compared += 1
        return int(self) == int(other)

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    ("parents", "found"),
    [
        ([], None),
        ([[], [0], [0, 1]], None),
        ([[0]], [0]),
        ([[1], [0]], [0, 1]),
        ([[], [0, 2], [3], [1]], [1, 2, 3]),
        ([[1], [2], [1]], [1, 2]),
    ],
)
def test_a_circle_is_found_where_there_is_one(parents, found):
    assert circle(parents) == found


def test_a_long_circle_costs_its_length():
    count = 3000
    found = circle([[Place((n + 1) % count)] for n in range(count)])
    assert found == [*range(count)]
    assert Place.compared < 20 * count
