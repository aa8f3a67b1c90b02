"""`top` as people see it, kept as files that were read by eye: `tests/jobctl/tui/golden`."""

import asyncio

import pytest

from jobctl.render import text
from tests.golden import golden
from tests.jobctl.tui.world import busy_world, seen, settled


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=str)
def test_a_busy_queue(size):
    async def look():
        world = busy_world()
        async with seen(world.connect, size) as pilot:
            wide = size[0] >= 120
            shown = await settled(pilot, "state       Running", *(["epoch 40/90"] if wide else []))
        world.close()
        return shown

    shown = asyncio.run(look())
    lines = shown.splitlines()
    assert len(lines) == size[1]
    assert all(text.columns(line) <= size[0] for line in lines)
    name = "tui/top-{}x{}.txt".format(*size)
    golden(name, shown)


def test_narrow_screens_are_drawn():
    async def look():
        world = busy_world()
        async with seen(world.connect, (20, 10)) as pilot:
            shown = await settled(pilot, "▶")
        world.close()
        return shown

    assert all(text.columns(line) <= 20 for line in asyncio.run(look()).splitlines())
