"""A daemon that is closed gives back all that it had open: tests make hundreds in one process."""

import pytest

from jobd.contract.errors import JobdError
from tests.helpers import descriptors, wait_until
from tests.integration.inside import Inside


@pytest.mark.parametrize("clean", [True, False])
def test_a_closed_daemon_has_nothing_open(home, clean):
    Inside(home / "first").close()  # what is loaded once stays
    before = descriptors()
    daemon = Inside(home / "second")
    daemon.wait(daemon.submit("echo x"))
    assert daemon.output(1) == b"x\n"
    if clean:
        daemon.close()
    else:
        daemon.daemon.close(clean=False)
        daemon.abandon()
    # The threads of a closed daemon end by themselves, and what is theirs goes with them. What was
    # there before, of other tests, may go meanwhile.
    wait_until(
        lambda: descriptors().items() <= before.items(),
        message=lambda: str(dict(descriptors().items() - before.items())),
    )


def test_one_that_cannot_be_built_has_nothing_open(home):
    Inside(home / "first").close()
    before = descriptors()
    with pytest.raises(JobdError, match="there is no 'nomad'") as refusal:
        Inside(home / "second", groups={"far": {"engine": "nomad"}})
    # What its frames still hold is not given back by its being forgotten.
    assert refusal.traceback
    assert descriptors().items() <= before.items()
