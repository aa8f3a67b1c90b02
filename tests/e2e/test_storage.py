"""Disks that are full, damaged, read-only or slow, with the real commands."""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from jobd.contract.errors import StoreFailed
from jobd.contract.models import Command, Options, Submit
from jobd.contract.states import State
from jobd.system import linux
from tests.e2e.engine_of_run import where_outputs_are
from tests.e2e.instance import PATIENCE, Instance, says_well
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


def test_check_and_backup_beside_a_daemon_and_without_one(instance):
    missing = instance.jobd("check", code=1)
    assert missing.stderr.startswith("jobd: there is no database at ")
    instance.start()
    instance.jobctl("submit", "-w", "echo hello")
    for _ in range(2):
        counted = "1 job, 1 output file, schema " if instance.engine == "local" else "1 job, "
        assert says_well(instance.jobd("check").stdout, counted)
        assert json.loads(instance.jobd("check", "--json").stdout)["findings"] == []
        said = instance.jobd("backup", "--force", "copy.db")
        assert said.stdout.startswith("copy.db: 1 job, ")
        assert stat.S_IMODE((instance.work / "copy.db").stat().st_mode) == 0o600
        instance.jobd("stop")
    refused = instance.jobd("backup", "copy.db", code=1)
    assert refused.stderr == (
        f"jobd: {instance.work}/copy.db exists; name another file, or overwrite it: --force\n"
    )
    assert sorted(os.listdir(instance.work)) == ["copy.db"]


@pytest.mark.local("check looks for output in the instance's own directory alone")
def test_check_finds_that_an_output_is_missing(instance):
    instance.start()
    instance.jobctl("submit", "-w", "echo hello")
    instance.jobd("stop")
    output = instance.output_of(1, 1)
    output.unlink()
    found = instance.jobd("check", code=1)
    assert found.stdout.splitlines() == [
        f"the output of job 1 is missing: {output}",
        "    next: put it back from a backup if you have one; the job itself is not affected",
    ]
    (finding,) = json.loads(instance.jobd("check", "--json", code=1).stdout)["findings"]
    assert (finding["kind"], finding["job"]) == ("output", 1)


def test_the_files_of_an_instance_in_memory_are_found(instance):
    instance.start("--ephemeral")
    instance.id_of("true")
    assert "/dev/shm/" in instance.jobd("check").stdout
    assert instance.jobd("backup", "copy.db").stdout.startswith("copy.db: 1 job, ")


def test_a_daemon_that_is_killed_before_its_first_frame_starts_again(instance):
    """The header of the log comes to the disk before anything else does."""
    instance.start()
    instance.jobctl("submit", "-w", "true")
    log = Path(f"{instance.paths.database}-wal")
    header = log.read_bytes()[:32]
    instance.jobd("stop")
    assert not log.exists()
    log.write_bytes(header)
    log.chmod(0o600)
    assert says_well(instance.jobd("check").stdout, "1 job, ")
    instance.start()
    assert instance.id_of("true") == 2


def test_a_damaged_database_is_told_alike_by_start_and_check_and_restored(instance):
    instance.start()
    instance.jobctl("submit", "-w", "true")
    instance.jobd("backup", "copy.db")
    refused = instance.jobd("restore", "copy.db", code=1).stderr
    assert refused == "jobd: jobd is running; stop it first: jobd stop\n"
    instance.jobd("stop")
    os.truncate(instance.paths.database, 8192)
    said = instance.jobd("start", code=1).stderr
    told, step = instance.jobd("check", code=1).stdout.splitlines()[:2]
    assert told in said
    assert step.removeprefix("    next: r") in said
    assert f"jobd restore {instance.work}/copy.db. Or begin anew: mkdir" in step
    done = instance.jobd("restore", "copy.db")
    assert done.stdout == "copy.db: 1 job restored. Go on with: jobd start\n"
    assert "what was there is kept: " in done.stderr
    instance.start()
    assert instance.id_of("true") == 2


# --- a small disk -------------------------------------------------------------------------------


@pytest.fixture
def small(home):
    """A function that mounts a file system of so many bytes at a directory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = []

    def mount(path, size="3m"):
        path.mkdir(mode=0o700, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", path],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def cramped(small, jobd_home, home):
    """An instance whose state directory is on a small disk."""
    small(jobd_home)
    made = Instance(jobd_home, home / "work")
    yield made
    made.close()


def fill(directory):
    """Leave not a byte; the file to delete."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    with open(ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x")
    return ballast


def ids_of(instance, *words):
    return [int(job) for job in instance.jobctl("ls", "--ids", *words).stdout.split()]


def submit_until_refused(instance):
    """Jobs with environments that do not compress; how many were acknowledged."""
    for count in range(2000):
        noise = os.urandom(6000).hex()
        done = instance.jobctl("submit", "true", code=None, env={"NOISE": noise})
        if done.returncode:
            return count, done
    raise AssertionError("the disk was never full")


def test_on_a_full_disk_a_submit_is_refused_and_goes_on_when_there_is_space(cramped):
    cramped.start("--workers", "0")
    first = cramped.id_of("true")
    ballast = fill(cramped.paths.state)
    count, refused = submit_until_refused(cramped)
    assert refused.returncode == 1
    assert "no space" in refused.stderr
    assert refused.stdout == ""
    assert cramped.jobctl("ls", "--ids").stdout.split()  # who looks is served
    ballast.unlink()
    last = cramped.id_of("true")
    known = cramped.jobctl("ls", "--ids").stdout.split()
    assert len(known) == count + 2
    assert {str(first), str(last)} <= set(known)
    cramped.jobctl("workers", "2")
    cramped.jobctl("wait", "--all")
    cramped.jobd("check")
    cramped.jobd("restart")
    assert len(cramped.jobctl("ls", "--ids").stdout.split()) == count + 2


def test_whoever_fills_the_disk_can_be_stopped_and_removed(cramped):
    """It writes on and on: what is free for a moment, it takes."""
    cramped.start("--workers", "1")
    filler = cramped.id_of("while :; do cat /dev/zero 2>/dev/null; done")
    waiting = cramped.id_of("echo there is room")
    kept = cramped.id_of("echo held")
    said = submit_until_refused(cramped)[1].stderr
    assert said == (
        "jobctl: could not be saved: no space left on the disk of the database. Nothing was "
        "changed\n"
    )
    assert "out of a reserve" in cramped.status().error
    assert "trouble  no space left" in cramped.jobd("status").stdout
    others = ids_of(cramped)
    cramped.jobctl("hold", str(kept))
    cramped.jobctl("stop", str(filler))
    assert cramped.job(filler).state is State.STOPPED
    cramped.jobctl("rm", str(filler))
    assert not cramped.output_of(filler, 1).exists()
    # Now there is space, and what was waiting starts by itself.
    cramped.jobctl("wait", str(waiting))
    assert cramped.status().error is None
    assert cramped.job(kept).reason == "held"
    assert cramped.id_of("true") > max(others)
    cramped.jobd("check")


def test_on_a_full_disk_ends_are_recorded_and_nothing_starts(cramped):
    cramped.start("--workers", "2")
    gate = cramped.gate()
    jobs = [cramped.id_of(f"read _ < {gate.path}; exit {code}") for code in (3, 4)]
    wait_until(lambda: all(cramped.job(job).state is State.RUNNING for job in jobs))
    ballast = fill(cramped.paths.state)
    submit_until_refused(cramped)
    pending = [job for job in ids_of(cramped) if job not in jobs]
    gate.open(2)
    cramped.jobctl("wait", *map(str, jobs), code=1)
    assert sorted(cramped.job(job).exit_code for job in jobs) == [3, 4]
    assert all(cramped.job(job).state is State.PENDING for job in pending)
    assert ballast.exists()
    # The daemon that follows has the reserve of the one before.
    old = cramped.status().pid
    cramped.kill(old)
    cramped.answers_anew(old)
    cramped.jobctl("rm", *map(str, jobs))
    ballast.unlink()
    cramped.jobctl("wait", "--all")
    cramped.jobd("check")


def test_stop_now_on_a_full_disk_ends_and_loses_nothing(cramped):
    cramped.start("--workers", "1")
    job = cramped.id_of("exec sleep 1000")
    wait_until(lambda: cramped.job(job).state is State.RUNNING)
    ballast = fill(cramped.paths.state)
    submit_until_refused(cramped)
    cramped.jobd("stop", "--now")
    ballast.unlink()
    cramped.start()
    # An engine that keeps ends elsewhere is asked once it is there again.
    wait_until(lambda: cramped.job(job).state is not State.RUNNING, PATIENCE)
    found = cramped.job(job)
    assert (found.state, found.reason) == ("stopped", "shutdown")


def test_retention_goes_on_when_the_disk_is_full(cramped):
    cramped.configure("[retention]\nmax_jobs = 1\n")
    cramped.start("--workers", "2")
    gate = cramped.gate()
    jobs = [cramped.id_of(f"read _ < {gate.path}") for _ in (1, 2)]
    wait_until(lambda: all(cramped.job(job).state is State.RUNNING for job in jobs))
    ballast = fill(cramped.paths.state)
    submit_until_refused(cramped)
    gate.open(2)
    wait_until(lambda: len(ids_of(cramped, "--state", "completed")) == 1)
    ballast.unlink()


def test_a_start_on_a_full_disk_says_so_and_works_when_there_is_space(cramped):
    ballast = fill(cramped.paths.state)
    said = cramped.jobd("start", code=1).stderr
    assert "no space" in said.lower() or "is full" in said
    ballast.unlink()
    cramped.start()
    cramped.jobctl("submit", "-w", "true")


def test_a_backup_to_a_full_disk_leaves_nothing_behind(running, small, home):
    disk = small(home / "disk", "64k")
    for _ in range(20):
        running.jobctl("submit", "true", env={"NOISE": os.urandom(6000).hex()})
    said = running.jobd("backup", str(disk / "copy.db"), code=1)
    assert "no space left" in said.stderr
    assert os.listdir(disk) == []


def test_on_a_read_only_disk_the_start_says_so_and_check_works(cramped):
    cramped.start("--workers", "0")
    job = cramped.id_of("true")
    # While the daemon holds files open for writing, the kernel would refuse it.
    cramped.jobd("stop", "--now")
    subprocess.run(["mount", "-o", "remount,ro", cramped.paths.state], check=True)
    said = cramped.jobd("start", code=1).stderr
    assert "Read-only file system" in said
    assert "1 job," in cramped.jobd("check").stdout
    subprocess.run(["mount", "-o", "remount,rw", cramped.paths.state], check=True)
    cramped.start("--workers", "1")
    cramped.jobctl("wait", str(job))


def test_a_database_that_another_program_holds_refuses_changes_until_it_lets_go(running):
    job = running.id_of("true")
    running.jobctl("wait", str(job))
    with contextlib.closing(sqlite3.connect(running.paths.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = running.jobctl("submit", "true", code=1)
        assert "database is locked" in refused.stderr
        assert running.jobctl("ls", "--ids").stdout.split() == [str(job)]
        other.rollback()
    running.jobctl("submit", "-w", "true")


def test_a_log_that_cannot_be_written_is_told_at_the_start(instance):
    instance.paths.state.mkdir(mode=0o700)
    instance.paths.log.mkdir()
    said = instance.jobd("start", code=1).stderr
    assert said.startswith("jobd: cannot start jobd: ")
    assert str(instance.paths.log) in said


# --- the Nth write or sync of the database fails ------------------------------------------------


@pytest.fixture
def faulty(instance, home, monkeypatch):
    """A function that lets calls of the daemon on its database fail; None: no more."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library, plan = home / "faults.so", home / "plan"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)

    def fail(what):
        if what is None:
            plan.unlink()
        else:
            whole = home / "plan.new"
            whole.write_text(what)
            whole.rename(plan)

    environment = {"LD_PRELOAD": str(library), "FAULTS_FILE": str(plan)}
    instance.start("--workers", "0", env=environment)
    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_what_was_acknowledged_before_and_after_a_failing_write_is_there(
    instance, faulty, call, code
):
    acknowledged = []
    refused = []
    with instance.client() as client:
        for first in range(1, 9):
            # All of them from this one on, so that a second try at once fails, too.
            faulty(f"{call} {first} 1000000 {code}\n")
            for _ in range(3):
                try:
                    acknowledged.append(instance.submit("true", client=client))
                except StoreFailed as error:
                    refused.append(error.message)
            faulty(None)
            acknowledged.append(instance.submit("true", client=client))
    assert len(refused) >= 6
    assert all("Nothing was changed" in text for text in refused)
    if code == errno.ENOSPC and call == "write":
        assert all("no space left" in text for text in refused)
    known = [int(job) for job in instance.jobctl("ls", "--ids").stdout.split()]
    assert set(acknowledged) == set(known)
    old = instance.status().pid
    instance.kill(old)
    instance.answers_anew(old)
    assert {int(job) for job in instance.jobctl("ls", "--ids").stdout.split()} == set(known)
    instance.jobd("check")


@pytest.mark.local("its process is looked at")
def test_stop_now_where_nothing_at_all_can_be_saved_says_why_it_waits(instance, faulty):
    instance.jobctl("workers", "1")
    job = instance.id_of("exec sleep 1000")
    wait_until(lambda: instance.job(job).state is State.RUNNING)
    pid = instance.pid_of(job)
    faulty(f"write 1 1000000 {errno.ENOSPC}\n")
    stop = instance.begin("jobd", "stop", "--now")
    said = stop.stderr.readline().decode()
    assert said.startswith("jobd cannot end yet: no space left")
    stat = linux.stat_of(pid)
    assert stat is None or stat.state == "Z"  # it was ended all the same
    faulty(None)
    assert stop.wait(60) == 0
    instance.start()
    found = instance.job(job)
    assert (found.state, found.reason) == ("stopped", "shutdown")


# --- a file server that never answers -----------------------------------------------------------


@pytest.fixture
def dead(home):
    """A directory of a FUSE file system whose server never answers, and a function that ends it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    try:
        server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    place = home / "dead"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"dead", os.fsencode(place), b"fuse", 0, options):
        os.close(server)
        pytest.skip(f"FUSE cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    left = [server]

    def end():
        """All that waits for it fails (fuse(4))."""
        while left:
            os.close(left.pop())

    yield place, end
    end()
    libc.umount2(os.fsencode(place), 2)  # MNT_DETACH


@pytest.mark.parametrize("what", ["cwd", "stdin", "program"])
def test_a_dead_file_server_blocks_its_own_job_and_nobody_else(instance, dead, what):
    place, end = dead
    instance.start("--workers", "2")
    request = Submit(
        commands=[Command(argv=[os.fsencode(place / "run" if what == "program" else "true")])],
        options=Options(stdin=os.fsencode(place / "input") if what == "stdin" else b""),
        cwd=os.fsencode(place if what == "cwd" else instance.work),
        environment={b"PATH": b"/usr/bin:/bin"},
    )
    with instance.client() as client:
        stuck = client.submit(request).first
    wait_until(lambda: instance.job(stuck).state is State.RUNNING)
    for _ in range(3):
        instance.jobctl("submit", "-w", "true")
    assert instance.job(stuck).state is State.RUNNING
    assert instance.status().busy == 1
    instance.jobd("check")
    end()
    instance.jobctl("wait", str(stuck), code=None)
    assert instance.job(stuck).reason.startswith("could not start: ")


@pytest.fixture
def cover():
    """A function that lays one directory over another until the end of the test."""
    libc, covered = ctypes.CDLL(None, use_errno=True), []

    def over(place, target):
        bound = libc.mount(os.fsencode(place), os.fsencode(target), None, 4096, None)  # MS_BIND
        assert bound == 0, os.strerror(ctypes.get_errno())
        covered.append(target)

    def lift():
        while covered:
            libc.umount2(os.fsencode(covered.pop()), 2)  # MNT_DETACH

    yield over, lift
    lift()


def test_output_on_a_dead_file_server_keeps_nobody_from_looking_and_submitting(
    instance, dead, cover
):
    (place, end), (over, lift) = dead, cover
    instance.start("--workers", "2")
    ready = instance.submit("echo before")
    assert instance.wait(ready)[ready].state is State.COMPLETED
    over(place, where_outputs_are(instance.paths).output)
    stuck = instance.submit("echo behind")
    wait_until(lambda: instance.job(stuck).state is State.RUNNING)
    found = instance.status(sizes=True)
    assert found.output_bytes is None
    for words in (["status"], ["ls"], ["show", str(stuck)], ["events", "--json"]):
        instance.jobctl(*words, code=0)
    assert str(found.pid) in instance.jobd("status").stdout
    later = instance.id_of("--hold", "true")
    assert instance.job(stuck).state is State.RUNNING
    # It never ran; with its directory back it is tried again, and the old output is there.
    end()
    lift()
    assert instance.wait(stuck)[stuck].state is State.COMPLETED
    assert (instance.output(ready), instance.output(stuck)) == (b"before\n", b"behind\n")
    assert instance.status(sizes=True).output_bytes > 0
    assert instance.status().pid == found.pid
    assert instance.job(later).reason == "held"


def test_ids_go_on_behind_all_output_when_an_older_copy_is_restored(instance):
    instance.start()
    first = instance.submit("echo first")
    instance.wait(first)
    instance.jobd("backup", "older.db")
    lost = [instance.submit(f"echo lost {number}") for number in range(3)]
    instance.wait(lost[0], lost[-1])
    instance.jobd("stop")
    shutil.copyfile(instance.work / "older.db", instance.paths.database)
    instance.start()
    fresh = instance.submit("echo fresh")
    assert fresh == lost[-1] + 1
    instance.wait(fresh)
    assert instance.output(fresh) == b"fresh\n"
    assert [instance.output_of(job, 1).read_bytes() for job in lost] == [
        b"lost %d\n" % number for number in range(3)
    ]
