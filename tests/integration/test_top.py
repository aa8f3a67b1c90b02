"""`top` on a real queue: what is done with keys happens, and is seen."""

import asyncio

import pytest

from jobd.contract.models import Options, Pause, Submit
from jobd.contract.states import State
from tests.helpers import wait_until
from tests.integration.inside import submit_of
from tests.jobctl.tui.world import screen, seen, settled, until


def under_pilot(daemon, check, size=(120, 40)):
    made = []

    def connect():
        made.append(daemon.connect())
        return made[-1]

    async def run():
        async with seen(connect, size) as pilot:
            await check(pilot)

    asyncio.run(run())
    # Those whose threads are held back just now let go of it.
    daemon.submit("true")


@pytest.fixture
def held(make):
    """A queue of two workers, one job that runs and prints, and others that wait."""
    inside = make(workers=2)
    running = inside.submit("echo hello; exec sleep 100", name="runner")
    wait_until(lambda: inside.output(running) == b"hello\n")
    return inside


def test_a_job_is_stopped_and_run_again(held):
    async def check(pilot):
        await settled(pilot, "runner", "hello", "uses        ")
        await pilot.press("x", "y")
        await settled(pilot, "stopped 1", "Stopped (by user)")
        assert held.job(1).state is State.STOPPED
        await pilot.press("r")
        await settled(pilot, "── Running 1", "to run again: 1")
        wait_until(lambda: held.job(1).attempt == 2)
        await pilot.press("x", "y")
        await settled(pilot, "Stopped (by user)")

    under_pilot(held, check)


def test_a_job_is_held_and_let_go(held):
    held.client.workers(1)
    waiting = held.submit("sleep 100", name="waiter")

    async def check(pilot):
        await settled(pilot, "waiter")
        await pilot.press("down", "h")
        await until(pilot, lambda: held.job(waiting).reason == "held")
        await settled(pilot, "○", "held 2")
        await pilot.press("n", *"high", "enter")
        await until(pilot, lambda: held.job(waiting).priority == 100)
        await pilot.press("h")
        await until(pilot, lambda: held.job(waiting).reason == "queued")
        await pilot.press("right_square_bracket")
        await settled(pilot, "2 of 2 workers busy")
        assert held.job(waiting).state is State.RUNNING

    under_pilot(held, check)


def test_arrays_and_groups_are_seen(held):
    request = submit_of("exec sleep 100", name="sweep")
    held.client.submit(
        Submit(
            commands=request.commands, options=Options(name="sweep", hold=True), cwd=b"/",
            environment=request.environment, array=[(1, 1000)],
        )
    )  # fmt: skip
    held.client.pause(Pause(group="default"))

    async def check(pilot):
        await settled(pilot, "2-1001  array 1-1000  1,000 pending", "runner")
        await pilot.press("slash", *"2-5", "enter")
        await settled(pilot, "sweep[1]", "sweep[4]")
        assert "sweep[5]" not in screen(pilot)
        await pilot.press("escape")
        await settled(pilot, "2-1001  array")

    under_pilot(held, check)
