"""A daemon inside the test's own process, on a real socket."""

import pytest

from tests.helpers import Gate
from tests.integration.inside import Inside


@pytest.fixture
def make(jobd_home):
    """A function that starts a daemon; all of them are closed with the test."""
    made = []

    def start(**config):
        for earlier in made:
            earlier.close()
        made.append(Inside(jobd_home, **config))
        return made[-1]

    yield start
    for inside in made:
        inside.close()


@pytest.fixture
def daemon(make):
    return make()


@pytest.fixture
def gate(home):
    """Where jobs wait until they are let go on."""
    made = Gate(home / "gate")
    yield made
    made.close()


@pytest.fixture
def quiet(make):
    """It starts nothing."""
    return make(workers=0)
