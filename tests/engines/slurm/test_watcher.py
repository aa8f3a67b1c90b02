"""Who watches over what Slurm has, without a cluster: what is seen is what a test says."""

import pytest

from jobd.core.transitions import Outcome
from jobd.engines.slurm.age import Age
from jobd.engines.slurm.attempt_files import AttemptFiles
from jobd.engines.slurm.commands import SlurmJob
from jobd.engines.slurm.ends import Written
from jobd.engines.slurm.names import Names
from jobd.engines.slurm.notes import Note
from jobd.engines.slurm.packs import PackFiles, Packs
from jobd.engines.slurm.process import SlurmProcess, Where
from jobd.engines.slurm.watcher import Watcher
from tests.helpers import wait_until

NAMES = Names("instance")
TOKEN = "0123"


class Slurm:
    """As `SlurmCommands`, and as `Ends`: all jobs run, and what has `ended` has.

    What has `noticed` of them Slurm knows, too.
    """

    def __init__(self):
        self.jobs = {}
        self.ended = set()
        self.noticed = set()
        self.forgotten = []
        self.signals = []
        self.looks = 0

    def listing(self, _names):
        self.looks += 1
        return [SlurmJob(number, name, "RUNNING", 0) for name, number in self.jobs.items()]

    def signal(self, name, number):
        self.signals.append((name, number))

    def outcome(self, process, _seen):
        return self.written(process).outcome

    def written(self, process):
        ended = process.token in self.ended
        return Written(ended, Outcome(exit_code=0) if ended else None)

    def is_noticed(self, process, _seen):
        return process.token in self.noticed


@pytest.fixture
def slurm():
    return Slurm()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "attempts").mkdir()
    return AttemptFiles(str(tmp_path))


@pytest.fixture
def packs(tmp_path, files):
    (tmp_path / "packs").mkdir()
    return Packs(4, None, PackFiles(str(tmp_path), files))


@pytest.fixture
def watcher(slurm, files):
    made = Watcher(slurm, files, NAMES, slurm, 0.02, lambda: None)
    made.start()
    yield made
    made.close()


def process_of(slurm, token=TOKEN, allocation=None):
    number = len(slurm.jobs) + 1
    name = NAMES.of(number, token) if allocation is None else allocation.name
    slurm.jobs[name] = number
    return SlurmProcess(
        Where(token, name, number), output=lambda: None, commands=slurm,
        reap=lambda: slurm.forgotten.append(token), age=Age(), allocation=allocation,
    )  # fmt: skip


def packed(slurm, packs):
    """As an engine finds it that is asked what became of it."""
    return process_of(slurm, allocation=packs.found("a", Note(1, NAMES.of_pack("a"), 2), TOKEN))


@pytest.mark.parametrize("shared", [False, True])
def test_one_that_is_found_again_ends_for_whoever_has_it_by_now(slurm, packs, watcher, shared):
    before, after = ((packed(slurm, packs) if shared else process_of(slurm)) for _ in range(2))
    watcher.add(before)
    watcher.add(after)
    slurm.ended.add(TOKEN)
    wait_until(lambda: after.is_over)
    assert after.wait() == Outcome(exit_code=0)


def test_one_that_is_found_again_is_one_allocation(slurm, packs):
    packed(slurm, packs)
    packed(slurm, packs)
    packs.opens()
    assert packs._busy == 2


def test_what_comes_when_the_engine_is_closed_is_not_waited_for(slurm, watcher):
    watcher.close()
    late = process_of(slurm)
    watcher.add(late)
    wait_until(lambda: late.is_over)


def test_what_a_file_server_does_not_show_of_one_holds_up_no_other(slurm, watcher, monkeypatch):
    broken, well = process_of(slurm, "broken"), process_of(slurm, "well")
    for process in (broken, well):
        assert process.owed.takes(15, begun=False)

    def has_begun(_, token):
        if token == "broken":
            raise OSError(5, "Input/output error")
        return True

    monkeypatch.setattr(AttemptFiles, "has_begun", has_begun)
    watcher.add(broken)
    watcher.add(well)
    wait_until(lambda: slurm.signals)
    assert slurm.signals == [(well.name, 15)]


def test_what_its_script_has_told_is_known_long_before_slurm_is_asked(slurm, watcher):
    watcher._pause._poll_s = 3600.0
    process = process_of(slurm)
    watcher.add(process)
    slurm.ended.add(TOKEN)
    wait_until(lambda: process.is_over)
    assert process.wait() == Outcome(exit_code=0)


def test_slurm_is_asked_until_it_knows_the_end_too_and_nothing_is_forgotten_before(slurm, watcher):
    process = process_of(slurm)
    slurm.ended.add(TOKEN)
    watcher.add(process)
    process.wait()
    process.reap()
    asked = slurm.looks
    wait_until(lambda: slurm.looks > asked + 2)
    assert slurm.forgotten == []
    slurm.noticed.add(TOKEN)
    wait_until(lambda: slurm.forgotten == [TOKEN])
    with watcher._changed:
        assert watcher._needed_in() is None


def test_what_slurm_knows_before_it_is_recorded_is_forgotten_when_it_is(slurm, watcher):
    process = process_of(slurm)
    slurm.ended.add(TOKEN)
    slurm.noticed.add(TOKEN)
    watcher.add(process)
    process.wait()
    wait_until(lambda: not watcher._watched)
    assert slurm.forgotten == []
    process.reap()
    assert slurm.forgotten == [TOKEN]
