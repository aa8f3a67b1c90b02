"""When the output of finished jobs is brought to the disk."""

import errno
import os
import threading

import pytest

from jobd.contract.config import from_builtins
from jobd.contract.states import State
from jobd.daemon.execution import aftercare
from jobd.outputs import on_disk
from jobd.system import linux
from tests.helpers import wait_until


class Disk:
    """Notes what is synchronised, by path; one that is `slow` answers when it is told to."""

    def __init__(self, monkeypatch):
        self.files, self.systems, self.threads = [], 0, set()
        self.answers = threading.Event()
        self.answers.set()
        self._fdatasync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._one)
        monkeypatch.setattr(linux, "sync_file_system", self._all)

    def _one(self, descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".log"):
            self.threads.add(threading.current_thread().name)
            assert self.answers.wait(60)
            self.files.append(os.path.basename(path))
        self._fdatasync(descriptor)

    def _all(self, _descriptor):
        self.threads.add(threading.current_thread().name)
        self.systems += 1


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(aftercare, "_GATHER_S", 0.3)
    return Disk(monkeypatch)


def test_output_is_brought_to_the_disk_soon_after_the_end(make, disk):
    daemon = make()
    job, silent = daemon.submit("echo words", "true"), 2
    daemon.wait(job, silent)
    wait_until(lambda: disk.files)
    assert disk.files == [f"{job}.1.log"], "one that printed nothing costs nothing"
    assert disk.threads == {"sync"}


def test_outputs_of_many_are_brought_there_together(make, disk):
    daemon = make(workers=4)
    count = on_disk._FEW * 4
    first = daemon.submit(*["echo words"] * count)
    daemon.wait(*range(first, first + count))
    wait_until(lambda: disk.systems)
    assert disk.systems + len(disk.files) < count / 2


def test_a_disk_that_does_not_answer_holds_up_no_job(make, disk):
    daemon = make(workers=1)
    disk.answers.clear()
    try:
        first = daemon.submit("echo words")
        daemon.wait(first)
        wait_until(lambda: disk.threads)
        later = daemon.submit("echo more")
        daemon.wait(later)
        assert daemon.job(later).state is State.COMPLETED
        assert disk.files == []
    finally:
        disk.answers.set()


def test_what_has_ended_is_brought_there_before_the_daemon_leaves(make, disk, monkeypatch):
    monkeypatch.setattr(aftercare, "_GATHER_S", 60.0)
    daemon = make()
    job = daemon.submit("echo words")
    daemon.wait(job)
    daemon.close()
    assert disk.files == [f"{job}.1.log"]


def test_who_wants_it_before_the_end_is_told_gets_that(make, disk):
    daemon = make(workers=1, sync_output="before-end")
    disk.answers.clear()
    try:
        job = daemon.submit("echo words")
        wait_until(lambda: disk.threads)
        assert all(name.startswith("worker") for name in disk.threads)
        assert daemon.job(job).state is State.RUNNING
    finally:
        disk.answers.set()
    daemon.wait(job)
    assert disk.files == [f"{job}.1.log"]


def test_who_does_not_want_it_pays_nothing(make, disk):
    before = {*threading.enumerate()}  # those of other tests may take their time
    daemon = make(sync_output="never")
    job = daemon.submit("echo words")
    daemon.wait(job)
    daemon.close()
    assert (disk.files, disk.systems) == ([], 0)
    assert "sync" not in {thread.name for thread in {*threading.enumerate()} - before}


def test_a_disk_that_refuses_is_told_in_the_log_and_fails_nothing(make, disk, monkeypatch, caplog):
    def refuse(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    daemon = make()
    job = daemon.submit("echo words; exit 3")
    daemon.wait(job)
    wait_until(lambda: "is not on the disk yet" in caplog.text)
    assert daemon.job(job).exit_code == 3


def test_one_that_was_removed_meanwhile_is_passed_over(make, disk, caplog):
    daemon = make()
    workspace = daemon.daemon.built.ground.engines.default.workspace
    workspace.sync([(7, 1)])
    assert "not on the disk" not in caplog.text


def test_a_file_system_is_synchronised_through_the_kernel(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    linux.sync_file_system(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        linux.sync_file_system(descriptor)


def test_another_word_for_it_is_refused():
    with pytest.raises(Exception, match="sync_output"):
        from_builtins({"daemon": {"sync_output": "later"}})


def test_outputs_are_brought_there_also_where_a_client_lets_go_of_them(make, disk, monkeypatch):
    """Whoever asked for something while nothing ran releases what is held open."""
    daemon = make(workers=4)
    workspace = daemon.daemon.files.workspace
    opened = workspace.output.now

    def and_released(**more):
        try:
            return opened(**more)
        finally:
            workspace.release()

    monkeypatch.setattr(workspace.output, "now", and_released)
    workspace.sync([(number, 1) for number in range(1, on_disk._FEW + 2)])
    assert disk.systems == 1


def test_without_a_descriptor_it_is_tried_again(make, disk, monkeypatch):
    daemon = make()
    workspace = daemon.daemon.files.workspace
    sync, tries = workspace.sync, []

    def scarce(attempts):
        tries.append(attempts)
        if len(tries) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        sync(attempts)

    monkeypatch.setattr(workspace, "sync", scarce)
    job = daemon.submit("echo words")
    wait_until(lambda: disk.files == [f"{job}.1.log"])
    assert tries == [[(job, 1)], [(job, 1)]]
