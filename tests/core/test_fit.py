"""What a job needs more of than there is, and who makes what of it."""

import pytest

from jobd.contract.models import Lack
from jobd.contract.states import Resource
from jobd.core.fit import is_too_large, lacks

WORKERS, GROUP, GPUS = Resource


def found(slots=1, gpus=0, *, workers=3, share=None, devices=0):
    given = lacks(slots, gpus, workers=workers, share=share, devices=devices)
    return [(lack.what, lack.needs, lack.have) for lack in given]


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        ({}, []),
        ({"slots": 3}, []),
        ({"slots": 4}, [(WORKERS, 4, 3)]),
        ({"slots": 3, "share": 3}, []),
        ({"slots": 3, "share": 2}, [(GROUP, 3, 2)]),
        # A group may be given more than there is.
        ({"slots": 4, "share": 9}, [(WORKERS, 4, 3)]),
        ({"share": 0}, [(GROUP, 1, 0)]),
        ({"workers": 0}, [(WORKERS, 1, 0)]),
        ({"gpus": 2, "devices": 2}, []),
        ({"gpus": 1}, [(GPUS, 1, 0)]),
        (
            {"slots": 5, "gpus": 3, "share": 2, "devices": 1},
            [(WORKERS, 5, 3), (GROUP, 5, 2), (GPUS, 3, 1)],
        ),
    ],
)
def test_what_is_missing(given, lacking):
    assert found(**given) == lacking


@pytest.mark.parametrize(
    ("what", "needs", "large"),
    [
        (WORKERS, 1, False),
        (WORKERS, 2, True),
        (GROUP, 1, False),
        (GROUP, 2, True),
        (GPUS, 1, True),
    ],
)
def test_one_worker_is_what_everybody_waits_for(what, needs, large):
    assert is_too_large(Lack(what=what, needs=needs, have=0)) is large
