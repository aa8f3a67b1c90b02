"""Every engine has its stage; the suite is played on each."""

import pytest

from tests.engines.stages import STAGES


@pytest.fixture(params=sorted(STAGES))
def stage(request, tmp_path):
    made = STAGES[request.param](tmp_path / "instance").begin()
    yield made
    made.close()
