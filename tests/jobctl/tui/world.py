"""A queue that is nothing but jobs in a list, and a full-screen view of it under a pilot."""

import asyncio
import threading
from collections import Counter
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase

from jobctl.tui.app import Top
from jobctl.tui.job_list import JobList
from jobd.client.client import Client
from jobd.contract.errors import NotFound
from jobd.contract.models import (
    Acted,
    DaemonStatus,
    Event,
    EventPage,
    Events,
    Gpu,
    Groups,
    GroupShare,
    GroupsReply,
    List,
    Output,
    Page,
    Piece,
    Show,
    Shown,
    Status,
)
from jobd.contract.states import FINISHED, EventName, State
from tests.jobctl.fakes import NOON
from tests.jobctl.scene import busy_queue

PATIENCE_S = 30


class World:
    """What clients are answered. Events come when `happens` is called, and outputs stand still."""

    def __init__(self, jobs, **arrays):
        self.jobs = list(jobs)
        self.arrays = arrays.get("arrays", {})
        self.counts = arrays.get("counts")
        self.workers = 8
        self.gpus = self.gpus_busy = 0
        self.gpu_load = None
        self.paused = False
        """Whether the group `gpu` is."""
        self.outputs = {}
        self.asked = []
        self.fails = None
        self.answers = {}
        """By request: what it is answered."""
        self._changed = threading.Condition()
        self._events = 0
        self._is_over = False

    def connect(self):
        return _Client(self)

    def happens(self):
        with self._changed:
            self._events += 1
            self._changed.notify_all()

    def close(self):
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def of(self, kind):
        return [request for request in self.asked if isinstance(request, kind)]

    # --- answers ------------------------------------------------------------------------------

    def answer(self, request):
        self.asked.append(request)
        if self.fails is not None and not isinstance(request, Events):
            raise self.fails
        for kind, answer in self.answers.items():
            if isinstance(request, kind):
                return answer(request)
        return {
            Events: self._heard, List: self._listed, Show: self._shown, Output: self._printed,
            Status: self._status, Groups: self._grouped,
        }[type(request)](request)  # fmt: skip

    def _heard(self, request):
        with self._changed:
            if request.wait:
                self._changed.wait_for(
                    lambda: self._is_over or self._events > request.after, PATIENCE_S
                )
            after = self._events if request.after is None else request.after
            events = [
                Event(seq=seq, at=NOON, job=1, event=EventName.PROGRESS, user="")
                for seq in range(after + 1, self._events + 1)
            ]
            return EventPage(events=events, next=self._events)

    def _printed(self, request):
        data = self.outputs.get(request.id, b"")
        if request.offset >= len(data) and request.wait:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over, PATIENCE_S)
        found = self._job(request.id)
        return Piece(
            id=request.id, attempt=found.attempt or 1, data=data[request.offset :],
            offset=request.offset,
            ended=found.state in FINISHED, state=found.state, path="/x",
        )  # fmt: skip

    def _status(self, request):
        counts = self.counts or dict(Counter(one.state for one in self.jobs))
        return DaemonStatus(
            workers=self.workers, busy=counts.get(State.RUNNING, 0), jobs=counts, gpus=self.gpus,
            gpus_busy=self.gpus_busy, gpu_load=self.gpu_load if request.gpus else None,
        )  # fmt: skip

    def _grouped(self, _):
        return GroupsReply(groups=[GroupShare(name="gpu", paused=self.paused)])

    def _shown(self, request):
        return Shown(job=self._job(request.id), attempts=[], events=[], why=None)

    def _job(self, number):
        for one in self.jobs:
            if one.id == number:
                return one
        raise NotFound(f"job {number} does not exist")

    def _listed(self, request):
        chosen = [one for one in self.jobs if _is_meant(one, request.selector)]
        if request.collapsed:
            chosen = [one for one in chosen if not self._is_inside(one.id)]
        limits = (request.running, request.pending, request.finished)
        sections = ([State.RUNNING], [State.PENDING], FINISHED)
        found = []
        for states, limit in zip(sections, limits, strict=True):
            found += [one for one in chosen if one.state in states][:limit]
        counts = self.counts or {
            state: sum(one.state is state for one in self.jobs) for state in State
        }
        arrays = {one.id: self.arrays[one.id] for one in found if one.id in self.arrays}
        if request.only_ids:
            return Page(jobs=[], ids=[(one.id, one.id) for one in found])
        return Page(
            jobs=found[: request.limit], counts=counts, arrays=arrays if request.collapsed else {}
        )

    def _is_inside(self, number):
        return any(
            array.first <= number <= array.last and number != stands
            for stands, array in self.arrays.items()
        )


def _is_meant(one, selector):
    return (
        (not selector.ids or any(first <= one.id <= last for first, last in selector.ids))
        and (not selector.states or one.state in selector.states)
        and (not selector.groups or one.group in selector.groups)
        and (not selector.name or fnmatchcase(one.name, selector.name))
    )


class _Client(Client):
    def __init__(self, world):
        super().__init__()
        self._world = world

    def request(self, request, kind):
        answer = self._world.answer(request)
        assert isinstance(answer, kind)
        return answer


def acted(world, change):
    """An answer that does something to the jobs that are meant: `change` gives the new one."""

    def answer(request):
        done = [one.id for one in world.jobs if _is_meant(one, request.selector)]
        world.jobs = [change(one) if one.id in done else one for one in world.jobs]
        world.jobs = [one for one in world.jobs if one is not None]
        return Acted(done=done)

    return answer


def busy_world():
    """Of `busy_queue`."""
    page = busy_queue()
    world = World(page.jobs, arrays=page.arrays, counts=page.counts)
    world.gpus, world.gpus_busy, world.paused = 2, 1, True
    world.gpu_load = [Gpu(index=0, load=97), Gpu(index=1, load=3)]
    world.outputs[11] = b"".join(b"epoch %d/90  loss 0.31\n" % epoch for epoch in range(1, 41))
    return world


@asynccontextmanager
async def seen(connect, size=(80, 24)):
    """A pilot, once something is seen."""
    app = Top(connect, clock=lambda: 0.0)
    async with app.run_test(size=size, notifications=True) as pilot:
        jobs = app.query_one(JobList)
        await until(pilot, lambda: jobs.row is not None)
        yield pilot


async def until(pilot, condition):
    """Raises: AssertionError (it does not come to that)."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, screen(pilot)
        await pilot.pause(0.01)


def screen(pilot):
    """What is on it, as text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def settled(pilot, *texts):
    """The screen, once all of these are on it, and it changes no more."""
    await until(pilot, lambda: all(text in screen(pilot) for text in texts))
    before = ""
    while before != (now := screen(pilot)):
        before = now
        await pilot.pause(0.05)
    return now
