"""Scratch instances; each leaves nothing behind, or its test fails."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.e2e.instance import Instance
from tests.e2e.seat import Seat
from tests.slurm_cluster import cluster  # noqa: F401 - a fixture


@pytest.fixture(scope="session", autouse=True)
def engine(request):
    """What all daemons of the run are started with, if `TEST_ENGINE` says so."""
    if Instance.engine == "slurm":
        os.environ["SLURM_CONF"] = str(request.getfixturevalue("cluster").conf)


def pytest_collection_modifyitems(items):
    """What only a process of this machine does is asked of no other engine."""
    for item in items if Instance.engine != "local" else ():
        if (mark := item.get_closest_marker("local")) is not None:
            why = f"not on {Instance.engine}: {mark.args[0]}"
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture
def instance(home, jobd_home):
    """Not started yet."""
    made = Instance(jobd_home, home / "work")
    yield made
    made.close()


@pytest.fixture
def running(instance):
    """Started with what is the default."""
    instance.start()
    return instance


@pytest.fixture(scope="module")
def shared():
    """One that runs for all tests of a module that only submit and look: a start costs time."""
    base = Path(tempfile.mkdtemp(prefix="je-", dir="/tmp"))
    made = Instance(base / "jobd", base / "work")
    made.start("--workers", "20")
    yield made
    made.close()
    shutil.rmtree(base)


@pytest.fixture
def roots():
    """A directory of root's that everybody can reach."""
    with tempfile.TemporaryDirectory(prefix="jr-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def sit(shared):
    """A function that puts somebody before a terminal."""
    seats = []

    def make(*argv, **options):
        seats.append(Seat(shared, *argv, **options))
        return seats[-1]

    yield make
    for seat in seats:
        seat.close()
