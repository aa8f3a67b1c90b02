"""What the line says that stands on a terminal while somebody waits."""

import subprocess
import sys

import pytest

from jobctl.render import words
from jobctl.render.how_far import sentence
from jobd.contract.models import Array
from jobd.contract.overviews import HowFar
from jobd.contract.states import State
from tests.jobctl.fakes import NOON, job

COUNTS = {State.COMPLETED: 42, State.RUNNING: 3, State.FAILED: 1, State.PENDING: 54}
ARRAY = Array(first=3, last=102, first_index=1, last_index=100)


def of(number="running", **fields):
    return HowFar(counts={State(number): 1}, job=job(7, number, **fields))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            HowFar(counts=COUNTS, array=ARRAY, eta_s=720.0),
            "array 1-100  42 completed, 3 running, 1 failed, 54 pending  43%, 12m left",
        ),
        (
            HowFar(counts=COUNTS),
            "100 jobs  42 completed, 3 running, 1 failed, 54 pending  43%",
        ),
        (
            HowFar(counts={State.RUNNING: 2, State.FAILED: 1}, to_end=False),
            "3 jobs  2 running, 1 failed",
        ),
        (
            of(run_s=130.0, progress=40.0, eta_s=180.0, progress_message="epoch 4 of 10"),
            "job 7  running  40%, 3m left  epoch 4 of 10",
        ),
        (of(run_s=130.0), "job 7  running for 2m10s"),
        (of(run_s=130.0, progress=40.0), "job 7  running for 2m10s  40%"),
        (of(run_s=130.0, paused=True), "job 7  running for 2m10s  paused"),
        (of("pending", reason="dependency", after=[3]), "job 7  pending  waits for 3"),
        (of("pending", reason="group paused"), "job 7  pending  group paused"),
        (of(run_s=1.0, progress_message="\x1b[2Jgone\n"),
            r"job 7  running for 1.0s  \x1b[2Jgone\n"),
    ],
)  # fmt: skip
def test_how_far_it_is(now, said):
    assert sentence(now, 80) == said


def test_on_a_narrow_terminal_it_is_cut_and_how_far_comes_first():
    now = HowFar(counts=COUNTS, array=ARRAY, eta_s=720.0)
    assert sentence(now, 60) == "array 1-100  43%, 12m left  3 running, 1 failed, …"
    assert sentence(now, 19) == "array 1-100  43%,…"


@pytest.mark.parametrize("width", range(28, 80))
def test_no_count_is_cut(width):
    """`5,688 pending` was `5…`, which is another number."""
    counts = {State.COMPLETED: 4_301, State.RUNNING: 3, State.FAILED: 8, State.PENDING: 5_688}
    said = words.counted_as("array 1-10000", counts, ("43%", "42m left"), width)
    assert len(said) <= max(width, len("array 1-10000  43%, 42m left"))
    told = said.removeprefix("array 1-10000  43%, 42m left").strip().split(", ")
    whole = {"4,301 completed", "3 running", "8 failed", "5,688 pending"}
    assert set(told) <= whole | {"…", ""}
    assert ("…" in told) == (set(told) != whole and told != [""])
    assert ("8 failed" in told) == (width >= 30 + len("8 failed, …"))


def test_time_goes_by_where_nothing_happens():
    running = HowFar(counts={State.RUNNING: 1}, job=job(7, "running", run_s=5.0), eta_s=None)
    assert running.ticks
    assert sentence(running.later(60.0), 80) == "job 7  running for 1m05s"
    array = HowFar(counts=COUNTS, array=ARRAY, eta_s=720.0)
    assert array.ticks
    assert sentence(array.later(120.0), 80).endswith("10m left")
    assert not of("pending", reason="held").ticks
    assert of("pending", reason="delayed", not_before=NOON).ticks
    halted = of(run_s=5.0, paused=True)
    assert sentence(halted.later(60.0), 80) == "job 7  running for 5.0s  paused"


def test_it_is_made_without_what_makes_tables_and_screens():
    code = "import jobctl.actions.how_far, jobctl.render.how_far, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rich", "tabulate", "textual"} & set(done.stdout.split())
