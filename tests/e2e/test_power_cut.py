"""The power fails at any moment of a short load: nothing that was confirmed is missing afterwards.

What a daemon does to its files is recorded, a hundred disks are built from that as a cut may leave
them, and a daemon is started on each, after another boot.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobd.admin.check import check
from jobd.contract.errors import StoreFailed
from jobd.contract.models import Command, Selector, Submit
from jobd.contract.paths import Paths
from jobd.contract.states import State as JobState
from jobd.store.inspection import Inspection
from jobd.store.readonly import open_untouched
from jobd.system import linux
from tests.e2e import power_cut
from tests.e2e.instance import Instance
from tests.helpers import wait_until, whole_table
from tests.integration.inside import Inside, ids

pytestmark = [pytest.mark.e2e, pytest.mark.local("what nodes write is not recorded")]

SEED = 20261126
COPY = "jobd.copy.db"
LIBRARY = Path(__file__).with_name("record.c")


class Recorded(NamedTuple):
    root: str
    ops: list[power_cut.Op]


# --- the load -----------------------------------------------------------------------------------


class Load:
    """Asks a daemon for this and that; each answer is noted in the record."""

    def __init__(self, instance: Instance, record: power_cut.Record) -> None:
        self.instance = instance
        self.note = record.note
        self.client = instance.client()

    def run(self) -> None:
        self.instance.jobd("start", "--workers", "2")
        first = self.submit("true", "exit 3", "true")
        self.ended(first, first + 1, first + 2)
        many = self.submit(*["true"] * 8)
        self.remove(first, first + 2)
        self.killed_meanwhile()
        self.ended(*range(many, many + 8))
        self.stop_and_hold()
        self.remove(*range(many, many + 4))
        self.instance.jobd("backup", str(self.instance.paths.state / COPY))
        self.note(copied=True)
        self.instance.jobd("restart")
        self.ended(self.submit("exit 5"))
        self.instance.jobd("stop")
        self.instance.jobd("start", "--workers", "2")
        self.ended(self.submit("true"))
        self.remove(many + 5)

    def submit(self, *lines: str) -> int:
        request = Submit(
            commands=[Command(argv=[line.encode()], shell=True) for line in lines], cwd=b"/",
            environment={b"PATH": b"/usr/bin:/bin", b"NOISE": os.urandom(2000).hex().encode()},
        )  # fmt: skip
        first: int = self.client.submit(request).first
        self.note(there=list(range(first, first + len(lines))))
        return first

    def ended(self, *jobs: int) -> None:
        for job, found in self.instance.wait(min(jobs), max(jobs)).items():
            self.note(ended=job, state=found.state, code=found.exit_code)

    def remove(self, *jobs: int) -> None:
        self.note(going=jobs)
        assert self.client.rm(ids(*jobs)).done == list(jobs)
        self.note(gone=jobs)

    def stop_and_hold(self) -> None:
        running = self.submit("exec sleep 1000")
        wait_until(lambda: self.instance.job(running).state is JobState.RUNNING)
        self.client.stop(ids(running))
        self.ended(running)
        self.instance.jobctl("workers", "0")
        held = self.submit("true")
        self.client.hold(ids(held))
        self.note(held=held)
        self.instance.jobctl("workers", "2")

    def killed_meanwhile(self) -> None:
        """The daemon dies amid its writes, and the next one finds what it has left."""
        old = self.instance.status().pid
        submitting = threading.Thread(target=lambda: [self.submit("true") for _ in range(6)])
        submitting.start()
        time.sleep(0.02)
        self.instance.kill(old)
        submitting.join()
        self.instance.answers_anew(old)


def recorded(base: Path, **environment: str) -> Recorded:
    """What the daemons of a short load have done."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = base / "record.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", library, LIBRARY, "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    record = power_cut.Record(base / "record")
    instance = Instance(base / "jobd", base / "work")
    instance.env |= {
        "LD_PRELOAD": str(library), "RECORD_FILE": str(record.path),
        "RECORD_ROOT": str(instance.paths.state), **environment,
    }  # fmt: skip
    try:
        Load(instance, record).run()
    finally:
        instance.close()
    return Recorded(str(instance.paths.state), record.ops())


# --- what was confirmed -------------------------------------------------------------------------


class Confirmed:
    """By the notes up to a cut."""

    def __init__(self, notes: list[dict[str, Any]]) -> None:
        self.there: set[int] = set()
        self.gone: set[int] = set()
        self.maybe: set[int] = set()
        """They are being removed."""
        self.ended: dict[int, tuple[str, int | None]] = {}
        self.held: set[int] = set()
        self.copied = any("copied" in note for note in notes)
        for note in notes:
            self.there.update(note.get("there", ()))
            self.maybe.update(note.get("going", ()))
            self.gone.update(note.get("gone", ()))
            if "ended" in note:
                self.ended[note["ended"]] = (note["state"], note["code"])
            if "held" in note:
                self.held.add(note["held"])

    def missing(self, daemon: Inside) -> list[str]:
        """What of it is not so there."""
        jobs = {job: daemon.job(job) for job in daemon.listed(selector=Selector(all=True))}
        surely = self.there - self.maybe
        wrong = [f"job {job} is missing" for job in sorted(surely - set(jobs))]
        wrong += [f"job {job} is back" for job in sorted(self.gone & set(jobs))]
        wrong += [
            f"job {job} had ended: {end}, and is {jobs[job].state} {jobs[job].exit_code}"
            for job, end in self.ended.items()
            if job in jobs and (jobs[job].state, jobs[job].exit_code) != end
        ]
        wrong += [
            f"job {job} was held" for job in self.held & set(jobs) if jobs[job].reason != "held"
        ]
        return wrong


def faults(paths: Paths) -> list[str]:
    """What `jobd check` says, but for the names of outputs that the cut took."""
    return [
        f"{finding.kind}: {finding.text}"
        for finding in check(paths).findings
        if not (finding.kind == "output" and " is missing: " in finding.text)
    ]


def copy_faults(copy: Path, confirmed: Confirmed) -> list[str]:
    """A backup is whole, or not there; once it is confirmed, it is there."""
    if not copy.exists():
        return ["the backup is gone"] if confirmed.copied else []
    try:
        with open_untouched(copy, running=False) as connection:
            return Inspection(connection).structure()
    except StoreFailed as error:
        return [f"of the backup: {error}"]


def started(place: Path, confirmed: Confirmed) -> list[str]:
    """What is wrong where a daemon starts on a disk as a cut has left it."""
    paths = Paths(place, place / "config.toml")
    wrong = faults(paths) if paths.database.exists() else []
    try:
        daemon = Inside(place, workers=0)
    except Exception as error:  # noqa: BLE001 - whatever it is, it did not start
        return [*wrong, f"it does not start: {error}"]
    try:
        wrong += confirmed.missing(daemon)
    finally:
        daemon.close()
    return wrong + faults(paths) + copy_faults(place / COPY, confirmed)


def cuts(found: Recorded, base: Path, count: int, monkeypatch: Any) -> list[str]:
    """What is wrong on so many disks; each says how it came to be."""
    wrong = []
    for number in range(count):
        chance = random.Random(f"{SEED} {number}")
        at = chance.randrange(1, len(found.ops) + 1)
        ops, choose = found.ops[:at], power_cut.CHOICES[number % len(power_cut.CHOICES)]
        confirmed = Confirmed([power_cut.note_of(op) for op in ops if op.kind == "A"])
        place = base / str(number)
        power_cut.State(ops, choose(chance, ops)).write(found.root, place)
        monkeypatch.setattr(linux, "boot_id", lambda: str(uuid.uuid4()))
        wrong += [
            f"{number}, {choose.__name__} of {at}: {what}" for what in started(place, confirmed)
        ]
        shutil.rmtree(place)
    return wrong


@pytest.fixture
def base():
    directory = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("disks", whole_table([30, 100], always=[30]))
def test_after_a_power_cut_nothing_confirmed_is_missing_and_every_start_succeeds(
    base, monkeypatch, disks
):
    found = recorded(base)
    assert sum(op.kind == "A" for op in found.ops) > 30
    assert cuts(found, base, disks, monkeypatch) == []


def test_a_sync_that_is_left_out_is_found(base, monkeypatch):
    """The test itself: without those of the log it sees that something is missing."""
    found = recorded(base, RECORD_WITHOUT="jobd.db-wal")
    assert any("is missing" in what for what in cuts(found, base, 20, monkeypatch))
