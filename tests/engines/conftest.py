"""Every engine has its stage; the suite is played on each."""

import pytest

from tests.engines.stages import STAGES
from tests.slurm_cluster import cluster  # noqa: F401 - a fixture


@pytest.fixture(params=sorted(STAGES))
def stage(request, tmp_path):
    kind = STAGES[request.param]
    needed = [request.getfixturevalue(name) for name in kind.needs]
    made = kind(tmp_path / "instance", *needed).begin()
    yield made
    made.close()
