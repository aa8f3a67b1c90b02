"""`top` as people see it, kept as files that were read by eye: `tests/jobctl/tui/golden`.

Where a change is meant: delete the file, run this test, and read what it has written.
"""

import asyncio
from pathlib import Path

import pytest

from jobctl.render import text
from tests.jobctl.tui.world import busy_queue, seen, settled

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=str)
def test_a_busy_queue(size):
    async def look():
        world = busy_queue()
        async with seen(world.connect, size) as pilot:
            wide = size[0] >= 120
            shown = await settled(pilot, "state       Running", *(["epoch 40/90"] if wide else []))
        world.close()
        return shown

    shown = asyncio.run(look())
    lines = shown.splitlines()
    assert len(lines) == size[1]
    assert all(text.columns(line) <= size[0] for line in lines)
    name = "top-{}x{}.txt".format(*size)
    golden(name, shown)


def test_narrow_screens_are_drawn():
    async def look():
        world = busy_queue()
        async with seen(world.connect, (20, 10)) as pilot:
            shown = await settled(pilot, "▶")
        world.close()
        return shown

    assert all(text.columns(line) <= 20 for line in asyncio.run(look()).splitlines())


def golden(name, shown):
    file = GOLDEN / name
    if not file.exists():
        file.write_text(shown, "utf-8")
    assert shown == file.read_text("utf-8")
