"""Which failures are tried again: by the code that `wait` gives for them."""

import pytest

from jobd.core.retry import may_retry
from jobd.core.transitions import Outcome


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"exit_code": 75}, 75),
        ({"signal": "KILL"}, 137),
        ({"signal": "TERM"}, 143),
        ({"signal": "RTMIN+2"}, 164),
        ({"error": "./gone: not found"}, 127),
        ({"error": "./data: permission denied"}, 126),
    ],
)
def test_a_failure_is_tried_again_by_the_code_that_wait_gives(ended, code):
    outcome = Outcome(**ended)
    assert may_retry(outcome, failures=0, retries=1, only=[code])
    assert not may_retry(outcome, failures=0, retries=1, only=[1])
    assert may_retry(outcome, failures=0, retries=1, only=[])
    assert not may_retry(outcome, failures=1, retries=1, only=[code])


def test_what_may_have_done_its_work_is_not_tried_again():
    assert not may_retry(Outcome(lost=True), failures=0, retries=1, only=[1])
