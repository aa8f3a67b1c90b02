"""What people see, kept as files that were read by eye: `tests/jobctl/render/golden`."""

import pytest
from msgspec.structs import replace
from rich.console import Console

from jobctl.render import rows, text
from jobd.contract.models import Array, EventPage, Page, Piece
from jobd.contract.reports import Picture
from jobd.contract.states import State
from tests.golden import golden
from tests.jobctl.fakes import NOON, FakeClient, job, jobctl

SIZES = [(80, 24), (120, 40), (200, 50)]
NAMES = [
    f"imagenet-resnet50-lr{rate}-warmup{steps}-seed1-final"
    for rate in ("0.1", "0.01", "0.001")
    for steps in (0, 100, 500, 1000)
]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(text, "when", lambda at: "-" if at is None else "Mon 14:02")


def queue():
    """Twelve long names that differ in their middle, one that is not there, a large array, and a
    group that is paused.
    """
    command = "python train.py --config configs/imagenet.yaml --output runs/{}"
    jobs = [
        job(number, "running", name=name, run_s=130.0 * number, started_at=NOON,
            progress=number * 5.0, eta_s=1800.0, command=command.format(name))
        for number, name in enumerate(NAMES[:4], start=11)
    ] + [
        job(number, "pending", name=name, command=command.format(name), reason="queued")
        for number, name in enumerate(NAMES[4:], start=15)
    ]  # fmt: skip
    jobs += [
        job(1, "pending", group="gpu", name="held-back", reason="group paused", priority=100),
        job(47, "pending", command="./simulate $JOBD_ARRAY_INDEX", array_index=4312),
        job(5, "failed", reason="exit code 127", command="pyhton evaluate.py --all", run_s=0.1,
            started_at=NOON, finished_at=NOON),
        job(4, "completed", name="fetch", command="curl -O https://example.org/data.tar.gz",
            run_s=41.0, started_at=NOON, finished_at=NOON),
    ]  # fmt: skip
    counts = {
        State.RUNNING: 7, State.PENDING: 5_697, State.COMPLETED: 4_302, State.FAILED: 9
    }  # fmt: skip
    array = Array(
        first=47, last=10_046, first_index=1, last_index=10_000, eta_s=2_520.0,
        counts={State.COMPLETED: 4_301, State.RUNNING: 3, State.FAILED: 8, State.PENDING: 5_688},
    )  # fmt: skip
    return Page(jobs=jobs, counts=counts, arrays={47: array})


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_ls(monkeypatch, columns, lines):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    out = jobctl("ls", client=FakeClient(list=queue()), terminal=True).out
    shown = out.splitlines()
    assert len(shown) < lines
    assert all(text.columns(line) <= columns for line in shown)
    assert "exit code 127" in out
    golden(f"ls-{columns}x{lines}.txt", out)


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_watch(columns, lines):
    page = queue()
    running = [found for found in page.jobs if found.state is State.RUNNING]
    said = {found.id: f"epoch {found.id}/90  loss 0.31  acc 0.87" for found in running}
    simulate = job(47, "running", command="./simulate $JOBD_ARRAY_INDEX", array_index=4312)
    alone = job(10_050, "running", command="./count", array_index=7, run_s=7.0)
    picture = Picture(
        running=[*running, simulate, alone], more=0, lines=said, counts=page.counts, workers=8,
        busy=7, arrays=page.arrays,
    )  # fmt: skip
    console = Console(width=columns, height=lines, no_color=True, color_system=None)
    shown = [line.plain.rstrip() for line in rows.lines(picture, console)]
    assert all(text.columns(line) < columns for line in shown)
    assert len(set(shown)) == len(shown)
    golden(f"watch-{columns}x{lines}.txt", "\n".join(shown) + "\n")


def printed(request):
    """What each of them has printed so far; the array's first element ends its line later."""
    said = {
        5: b"/bin/sh: 1: pyhton: not found\n",
        47: b"simulate: index 4312\r 10%\r 20%\nenergy -1.7",
    }.get(request.id, b"epoch %d/90\n\x1b[1mloss\x1b[0m 0.31\n" % request.id)
    return Piece(
        id=request.id, attempt=1, data=said[request.offset :], offset=request.offset,
        ended=True, state=State.COMPLETED, path="",
    )  # fmt: skip


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_logs_of_many(monkeypatch, columns, lines):
    """Lines are as long as they were printed, on any terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    jobs = [found for found in queue().jobs if found.state is not State.PENDING]
    jobs += [job(47, "running"), job(10_046, "running")]
    jobs = [replace(found, attempt=1) for found in jobs]
    client = FakeClient(
        events=EventPage(events=[], next=7),
        list=lambda request: Page(jobs=[] if request.only_ids else jobs),
        output=printed,
    )
    result = jobctl("logs", "-f", "--unfinished", client=client, terminal=True)
    assert (result.code, result.stderr) == (0, "")
    golden("logs.txt", result.out)
