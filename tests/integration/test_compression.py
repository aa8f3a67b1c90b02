"""Output of jobs that ended long enough ago is compressed, and reads as it did."""

import errno
import os
import time

import pytest

from jobd.admin.check import check
from jobd.contract.models import Output
from jobd.daemon import compression
from jobd.outputs import packing, unpacked
from jobd.system import clock
from tests.helpers import wait_until
from tests.integration.inside import ids
from tests.integration.test_scheduling import submit

PRINTS = "seq 100000"
PRINTED = b"".join(b"%d\n" % n for n in range(1, 100_001))


def packer(inside):
    return inside.daemon.built.packer


def outputs(inside):
    return sorted(file.name for file in inside.paths.output.rglob("*.log*"))


def becomes(inside, *names):
    wait_until(lambda: outputs(inside) == sorted(names), message=lambda: f"{outputs(inside)}")


@pytest.fixture
def soon(make):
    """Half a second after its end."""
    return make(workers=2, retention={"compress_after": "0.5s"})


def ended(inside, *lines, **options):
    first = submit(inside, *lines, **options)
    jobs = [*range(first, first + len(lines))]
    inside.wait(*jobs)
    return jobs


def test_output_is_compressed_and_reads_as_before(soon):
    [job] = ended(soon, PRINTS)
    assert soon.output(job) == PRINTED
    becomes(soon, "1.1.log.zst")
    assert soon.output(job) == PRINTED
    assert soon.output(job, offset=70) == PRINTED[70:]
    assert soon.output(job, tail=3) == b"99998\n99999\n100000\n"


def test_show_tells_both_sizes_and_where_it_lies(soon):
    [job] = ended(soon, PRINTS)
    [before] = soon.client.show(job).attempts
    assert before.output_bytes == len(PRINTED) <= before.stored_bytes
    becomes(soon, "1.1.log.zst")
    shown = soon.client.show(job)
    [after] = shown.attempts
    assert after.output_bytes == len(PRINTED)
    assert 0 < after.stored_bytes < len(PRINTED) / 2
    assert after.output_path == shown.job.output_path == f"{before.output_path}.zst"
    assert soon.client.output(Output(id=job, tail=0)).path == after.output_path


def test_every_attempt_of_a_job_and_none_that_is_new(soon):
    [job] = ended(soon, PRINTS)
    becomes(soon, "1.1.log.zst")
    soon.client.restart(ids(job))
    soon.wait(job)
    becomes(soon, "1.1.log.zst", "1.2.log.zst")
    assert soon.output(job, attempt=1) == soon.output(job, attempt=2) == PRINTED


def test_a_job_that_has_not_ended_keeps_all_its_outputs(soon):
    job = submit(soon, f"{PRINTS}; exit 1", retries=1, retry_delay=60.0)
    wait_until(lambda: soon.job(job).reason == "retry backoff")
    [other] = ended(soon, PRINTS)
    becomes(soon, f"{job}.1.log", f"{other}.1.log.zst")


def test_a_process_that_was_left_behind_keeps_its_output(soon, tmp_path):
    line = f"{PRINTS}; (until test -e {tmp_path}/go; do sleep 0.1; done; echo late) &"
    left, other = ended(soon, line, PRINTS)
    becomes(soon, f"{left}.1.log", f"{other}.1.log.zst")
    (tmp_path / "go").touch()
    wait_until(lambda: soon.output(left).endswith(b"late\n"))
    [again] = ended(soon, PRINTS)
    becomes(soon, *(f"{job}.1.log.zst" for job in (left, other, again)))
    assert soon.output(left) == PRINTED + b"late\n"


def test_removed_jobs_leave_nothing(soon):
    first, second = ended(soon, PRINTS, "echo short")
    becomes(soon, "1.1.log.zst", "2.1.log")
    soon.client.rm(ids(first, second))
    becomes(soon)


def test_what_a_daemon_left_half_done_the_next_one_finishes(make, monkeypatch):
    def killed(*_):
        raise KeyError("the daemon is gone")

    inside = make(workers=1, retention={"compress_after": "0.1s"})
    with monkeypatch.context() as patch:
        patch.setattr(packing.File, "unlink", killed)
        [job] = ended(inside, PRINTS)
        becomes(inside, "1.1.log", "1.1.log.zst")
        inside.close()
    again = make(workers=1, retention={"compress_after": "0.1s"})
    becomes(again, "1.1.log.zst")
    assert again.output(job) == PRINTED


def test_what_ended_before_it_was_asked_for_is_compressed_too(make):
    inside = make(workers=1)
    [job] = ended(inside, PRINTS)
    assert packer(inside) is None
    inside.close()
    again = make(workers=1, retention={"compress_after": "0.1s"})
    becomes(again, "1.1.log.zst")
    # And read also by one that compresses nothing.
    assert make(workers=1).output(job) == PRINTED


def test_an_age_is_waited_for_without_looking_again_and_again(make, monkeypatch):
    """A day of one that sleeps is one timer."""
    inside = make(workers=1, retention={"compress_after": "1d"})
    [job] = ended(inside, PRINTS)
    bell = packer(inside)._rounds.bell
    wait_until(lambda: bell.at is not None and not bell.is_rung)
    assert bell.at - time.monotonic() > 86400 - 60
    later = clock.now_us() + 2 * 86_400_000_000
    monkeypatch.setattr(compression, "now_us", lambda: later)
    bell.ring()
    becomes(inside, f"{job}.1.log.zst")


def test_folders_that_are_done_are_not_read_again(soon, monkeypatch):
    monkeypatch.setattr(unpacked, "_SETTLED_NS", 0)
    ended(soon, PRINTS)
    becomes(soon, "1.1.log.zst")
    thread = packer(soon)
    read = []
    real = thread._unpacked._in
    monkeypatch.setattr(thread._unpacked, "_in", lambda name: read.append(name) or real(name))
    for _ in range(2):
        thread._rounds.bell.ring()
        wait_until(lambda: not thread._rounds.bell.is_rung)
    wait_until(lambda: thread._unpacked._settled)
    before = len(read)
    thread._rounds.bell.ring()
    wait_until(lambda: not thread._rounds.bell.is_rung)
    assert len(read) <= before + 1


def test_a_full_disk_is_said_and_tried_again(soon, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(compression, "pack", full)
        [job] = ended(soon, PRINTS)
        wait_until(lambda: "No space left" in caplog.text)
    assert outputs(soon) == ["1.1.log"]
    ended(soon, "true")
    packer(soon)._rounds.bell.ring()
    becomes(soon, "1.1.log.zst", "2.1.log")
    assert soon.output(job) == PRINTED


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_what_will_pass_is_tried_again_by_itself(soon, monkeypatch, number):
    tries = []

    def scarce(*given):
        tries.append(given)
        if len(tries) == 1:
            raise OSError(number, os.strerror(number))
        return packing.pack(*given)

    monkeypatch.setattr(compression, "_RETRY_S", 0.05)
    monkeypatch.setattr(compression, "pack", scarce)
    ended(soon, PRINTS)
    becomes(soon, "1.1.log.zst")


def test_check_knows_it(soon):
    [job, gone] = ended(soon, PRINTS, PRINTS)
    becomes(soon, "1.1.log.zst", "2.1.log.zst")
    report = check(soon.paths)
    assert (report.findings, report.notes, report.outputs) == ([], [], 2)
    made = soon.paths.output_of(gone, 1).with_name("2.1.log.zst")
    made.write_bytes(b"")
    assert [found.text for found in check(soon.paths).findings] == [
        f"the output of job {gone} was cut: 0 of {len(PRINTED)} bytes"
    ]
    made.rename(made.with_name("1.9.log.zst"))
    told = [found.text for found in check(soon.paths).findings]
    assert f"the output of job {gone} is missing: {soon.paths.output_of(gone, 1)}" in told
    assert f"{made.with_name('1.9.log.zst')} belongs to no job" in told
    assert job == 1
