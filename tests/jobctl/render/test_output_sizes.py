"""`show` tells where an output lies, how much it is, and what it takes once it is compressed."""

import pytest

from jobd.contract.models import Attempt, Shown
from tests.jobctl.fakes import NOON, FakeClient, job, jobctl


def sheet(**output):
    one = Attempt(attempt=2, started_at=NOON, finished_at=NOON, state="completed", **output)
    found = job(7, attempt=2, output_path="/o/7.2.log")
    out = jobctl(
        "show", "7", client=FakeClient(show=Shown(job=found, attempts=[one], events=[]))
    ).out
    return [line.split(maxsplit=1)[1] for line in out.splitlines() if "output" in line]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (("/o/7.2.log", None, None), "/o/7.2.log"),
        (("/o/7.2.log", 0, 0), "/o/7.2.log"),
        (("/o/7.2.log", 1000, 4096), "/o/7.2.log (1 kB)"),
        (("/o/7.2.log.zst", 120_000_000, 8_000_000),
         "/o/7.2.log.zst (120 MB, 8 MB on the disk)"),
        (("", None, None), "/o/7.2.log"),
    ],
)  # fmt: skip
def test_the_line_of_the_output(output, told):
    path, kept, stored = output
    assert sheet(output_path=path, output_bytes=kept, stored_bytes=stored) == [told]
