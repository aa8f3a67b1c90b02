"""The hands that use the queue while it is beaten: each on jobs of its own, so it knows them."""

import os
import random
import threading

from jobd.client import follow
from jobd.client.client import Client
from jobd.contract.errors import NotFound, NotRunning, ShuttingDown, StoreFailed
from jobd.contract.models import Command, Events, List, Options, Output, Selector, Submit
from jobd.contract.states import State
from jobd.store.writer import NO_SPACE
from tests.soak import trace
from tests.soak.model import Known, now_us


class Hand(threading.Thread):
    """Submits, stops, starts, restarts, removes and looks, at random."""

    def __init__(self, number, seed, instance, model, pause):
        super().__init__(name=f"hand {number}", daemon=True)
        self._prefix = f"h{number}"
        self._dice = random.Random(f"{seed}/{number}")
        self._instance = instance
        self._model = model
        self._pause = pause
        self._over = threading.Event()
        self._mine = []
        self._last_id = 0
        self._serial = 0
        self._environment = {
            os.fsencode(k): os.fsencode(v)
            for k, v in instance.env.items()
            if k in ("PATH", "HOME", "JOBD_HOME") or instance.mark.startswith(f"{k}=")
        }

    def finish(self):
        self._over.set()

    def run(self):
        acts = [
            (self._submit, 10), (self._submit_many, 2), (self._stop, 4), (self._start, 2),
            (self._restart, 4), (self._rm, 3), (self._look, 3), (self._wait, 1),
        ]  # fmt: skip
        doings, weights = zip(*acts, strict=True)
        with Client(self._instance.paths.socket) as self._client:
            while not self._over.wait(self._pause * self._dice.random() * 2):
                (act,) = self._dice.choices(doings, weights)
                began = now_us()
                try:
                    act()
                except ShuttingDown:
                    self._model.count("refused: shutting down")
                except NotRunning:
                    self._model.count("requests given up")
                except StoreFailed as error:
                    self._refused(act, error, began)
                except Exception as error:  # noqa: BLE001 - all else is a finding
                    self._model.report(f"{self.name}: {act.__name__}: {error!r}")

    def _refused(self, act, error, began):
        """Words of the reference, and only while there was no space."""
        if NO_SPACE in error.message and self._model.was_full(began, now_us()):
            self._model.count("refused: no space left")
        else:
            self._model.report(f"{self.name}: {act.__name__}: {error!r}")

    # --- changes --------------------------------------------------------------------------

    def _submit(self, count=1):
        self._serial += 1
        name = f"{self._prefix}-{self._serial}"
        kinds = list(trace.KINDS)
        kind = self._dice.choices(kinds, [3, 4, 4, 2, 1, 1, 1, 1])[0]
        known = [
            self._model.know(Known(name, kind, requeue=self._dice.random() < 0.2))
            for _ in range(count)
        ]
        line = trace.line(kind, self._dice.randint(1, 9))
        request = Submit(
            commands=[Command(argv=[os.fsencode(line)], shell=True)] * count,
            options=Options(
                name=name, requeue=known[0].requeue, priority=self._dice.choice((-100, 0, 0, 100))
            ),
            cwd=os.fsencode(self._instance.work),
            environment=self._environment,
        )
        for one in known:
            one.requeue = known[0].requeue
        try:
            reply = self._client.submit(request)
        except StoreFailed:
            for one in known:
                one.refused = True
            raise
        if reply.last - reply.first + 1 != count or reply.first <= self._last_id:
            self._model.report(f"{name}: ids {reply.first}-{reply.last} after {self._last_id}")
        self._last_id = reply.last
        for number, one in enumerate(known):
            one.id = reply.first + number
        self._mine += known
        self._model.count("acknowledged jobs", count)

    def _submit_many(self):
        self._submit(self._dice.randint(2, 12))

    def _one(self):
        """One of the latest, or of all, that still exists."""
        here = [job for job in self._mine[-40:] if not job.removed and not job.maybe_removed]
        return self._dice.choice(here) if here else None

    def _act(self, ask):
        """Ask for a change of one job; the answer, unless there is none to ask for."""
        job = self._one()
        if job is None:
            return
        acted = ask(job, Selector(ids=[(job.id, job.id)]))
        if acted.done not in ([], [job.id]):
            self._model.report(f"job {job.id}: was asked for, and {acted.done} were done")
        if any("exist" in note.text for note in acted.errors):
            self._model.report(f"job {job.id}: {acted.errors[0].text}")

    def _stop(self):
        def ask(job, chosen):
            job.stopped = True
            grace = self._dice.choice((0.0, 0.1, 0.5))
            acted = self._client.stop(chosen, grace=grace)
            self._model.count("stops", len(acted.done))
            return acted

        self._act(ask)

    def _again(self, job, request, chosen):
        job.restarts += 1
        acted = request(chosen)
        if acted.done:
            job.sure += 1
        else:
            job.restarts -= 1
        return acted

    def _start(self):
        self._act(lambda job, chosen: self._again(job, self._client.start, chosen))

    def _restart(self):
        def ask(job, chosen):
            acted = self._again(job, self._client.restart, chosen)
            self._model.count("restarts", len(acted.done))
            return acted

        self._act(ask)

    def _rm(self):
        def ask(job, chosen):
            shown = self._client.show(job.id)
            job.maybe_removed = True
            # One that ends between this look and the removal is not seen to its end by anybody.
            job.attempts = [
                (a.attempt, None, a.state, a.reason, a.exit_code, a.signal, a.started_at.timestamp()
                 * 1e6, a.finished_at and a.finished_at.timestamp() * 1e6, a.engine_id)
                for a in shown.attempts if a.finished_at
            ]  # fmt: skip
            acted = self._client.rm(chosen)
            job.removed = bool(acted.done)
            # It was refused: it ran or waited.
            job.maybe_removed = False
            self._model.count("removes", len(acted.done))
            return acted

        self._act(ask)

    # --- looks ----------------------------------------------------------------------------

    def _look(self):
        job = self._one()
        if job is None:
            return
        try:
            shown = self._client.show(job.id)
        except NotFound:
            self._model.report(f"job {job.id} was acknowledged and does not exist")
            return
        if shown.job.name != job.name:
            self._model.report(f"job {job.id} is {shown.job.name!r} and not {job.name!r}")
        self._client.list(List(limit=20))
        self._client.events(Events(after=None))
        piece = self._client.output(Output(id=job.id))
        if shown.attempts and not piece.data.startswith(b"begin 0") and piece.ended:
            self._model.count("attempts without output")

    def _wait(self):
        job = self._one()
        if job is None:
            return
        chosen = Selector(ids=[(job.id, job.id)])
        waited = follow.until_finished(self._client, chosen, timeout=1.0)
        if waited.done and any(j.state in (State.PENDING, State.RUNNING) for j in waited.jobs):
            self._model.report(f"job {job.id}: waited for, and not finished")
