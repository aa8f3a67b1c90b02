"""What people see, kept as files that were read by eye: `tests/jobctl/render/golden`."""

import pytest
from msgspec.structs import replace
from rich.console import Console

from jobctl.render import rows, text
from jobd.contract.models import EventPage, Page, Piece
from jobd.contract.overviews import Picture
from jobd.contract.states import State
from tests.golden import golden
from tests.jobctl.fakes import FakeClient, job, jobctl
from tests.jobctl.scene import busy_queue

SIZES = [(80, 24), (120, 40), (200, 50)]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(text, "when", lambda at: "-" if at is None else "Mon 14:02")


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_ls(monkeypatch, columns, lines):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    out = jobctl("ls", client=FakeClient(list=busy_queue()), terminal=True).out
    shown = out.splitlines()
    assert len(shown) < lines
    assert all(text.columns(line) <= columns for line in shown)
    assert "exit code 127" in out
    golden(f"render/ls-{columns}x{lines}.txt", out)


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_watch(columns, lines):
    page = busy_queue()
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
    golden(f"render/watch-{columns}x{lines}.txt", "\n".join(shown) + "\n")


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
    jobs = [found for found in busy_queue().jobs if found.state is not State.PENDING]
    jobs += [job(47, "running"), job(10_046, "running")]
    jobs = [replace(found, attempt=1) for found in jobs]
    client = FakeClient(
        events=EventPage(events=[], next=7),
        list=lambda request: Page(jobs=[] if request.only_ids else jobs),
        output=printed,
    )
    result = jobctl("logs", "-f", "--unfinished", client=client, terminal=True)
    assert (result.code, result.stderr) == (0, "")
    golden("render/logs.txt", result.out)
