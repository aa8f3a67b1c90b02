"""Jobs run as submitted: three at a time, by priority, word for word."""

import base64
import os

import pytest

from jobd.contract.models import Events
from tests.e2e.instance import json_of
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


def started_in_order(instance):
    """The ids of the jobs in the order in which they were started."""
    return [e.job for e in instance.client().events(Events(after=0)).events if e.event == "started"]


def test_three_run_at_a_time(running):
    lines = "\n".join(["# ten of them", "", *["sleep 0.2"] * 10]).encode()
    ids = running.jobctl("submit", "--file", "-", input=lines).stdout
    assert ids == "1-10\n"
    running.jobctl("wait", ids.strip())
    jobs = running.wait(1, 10).values()
    changes = sorted(
        [(job.started_at, 1) for job in jobs] + [(job.finished_at, -1) for job in jobs]
    )
    at_once = [0]
    for _, change in changes:
        at_once.append(at_once[-1] + change)
    assert max(at_once) == 3
    assert (changes[-1][0] - changes[0][0]).total_seconds() >= 0.8


def test_a_later_high_job_starts_before_earlier_regular_ones(running):
    gate = running.gate()
    busy = f"echo >>ran; read _ <{gate.path}"
    running.submit(busy, busy, busy)
    running.await_lines("ran", 3)
    for words in (["true"], ["-p", "low", "true"], ["-p", "normal", "true"], ["-p", "101", "true"]):
        running.jobctl("submit", *words)
    running.jobctl("submit", "--priority", "high", "true")
    listed = json_of(running.jobctl("ls", "--state", "pending", "--json"))
    assert [(job["id"], job["priority"]) for job in listed] == [
        (7, 101), (8, 100), (4, 0), (6, 0), (5, -100),
    ]  # fmt: skip
    running.jobctl("workers", "1")
    gate.open(3)
    running.wait(1, 8)
    assert started_in_order(running)[3:] == [7, 8, 4, 6, 5]


def test_the_exit_code_of_wait_is_the_jobs(shared):
    job = shared.jobctl("submit", "--", "sh", "-c", "exit 7").stdout.strip()
    done = shared.jobctl("wait", job, code=7)
    assert done.stdout == ""
    assert f"job {job} failed (exit code 7)" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["true"], 0),
        (["kill -9 $$"], 137),
        (["--", "no-such-program"], 127),
        (["--", "/etc/passwd"], 126),
        (["--", "sh", "-c", "exit 9"], 9),
    ],
)
def test_how_a_job_ended_is_the_exit_code(shared, words, code):
    shared.jobctl("submit", "-w", *words, code=code)


def test_options_end_at_the_first_word_of_the_command(shared):
    job = shared.id_of("printf", "%s|", "-n", "5", "-p", "high")
    found = shared.wait(job)[job]
    assert shared.output(job) == b"-n|5|-p|high|"
    assert (found.name, found.priority, found.shell) == ("", 0, False)


def test_an_argv_is_run_exactly_as_given(shared):
    words = ["a  b", "*", "$HOME", "", "'", "\n", "--", "-w"]
    done = shared.jobctl("submit", "-w", "--", "printf", "%s\\n", *words)
    assert done.stdout == "".join(f"{word}\n" for word in words)


def test_one_word_is_a_shell_line(shared):
    job = shared.id_of("echo a && echo b")
    shared.wait(job)
    assert shared.output(job) == b"a\nb\n"
    assert shared.jobctl("submit", "-w", "-c", "echo c | tr c d").stdout == "d\n"


def test_bytes_that_are_not_utf8_survive(shared):
    word = bytes(range(1, 256))
    folder = os.fsencode(shared.work) + b"/d\xff\xfe"
    os.mkdir(folder)
    job = shared.id_of(
        "-C", os.fsdecode(folder), "-e", os.fsdecode(b"V=\xe9"), "--",
        "sh", "-c", 'printf %s "$1$V"; basename "$(pwd)"', "sh", os.fsdecode(word),
    )  # fmt: skip
    shared.wait(job)
    assert shared.output(job) == word + b"\xe9d\xff\xfe\n"
    shown = json_of(shared.jobctl("show", str(job), "--json"))
    assert base64.b64decode(shown["argv_b64"][4]) == word
    assert "\ufffd" in shown["command"]


def test_binary_output_survives(shared):
    content = bytes(range(256)) * 8192 + b"\0\r\n\xff"
    (shared.work / "blob").write_bytes(content)
    job = shared.id_of("--", "cat", "blob")
    shared.wait(job)
    assert shared.output(job) == content
    assert shared.jobctl("submit", "-w", "--", "cat", "blob", text=False).stdout == content


@pytest.mark.local("a job there has no session of its own")
def test_a_job_finds_what_the_contract_promises(shared):
    script = (
        'cut -d" " -f5,6 /proc/$$/stat; echo $$; umask; pwd; readlink /proc/self/fd/0;'
        " echo $PYTHONUNBUFFERED; env | grep ^JOBD_ | sort"
    )
    job = shared.id_of(script, preexec_fn=lambda: os.umask(0o027))
    shared.wait(job)
    said = shared.output(job).decode().splitlines()
    ids, pid, umask, cwd, stdin, unbuffered, *variables = said
    assert ids == f"{pid} {pid}"
    assert (umask, cwd, stdin, unbuffered) == ("0027", str(shared.work), "/dev/null", "1")
    found = dict(line.split("=", 1) for line in variables)
    assert found.keys() >= {"JOBD_RUN", "JOBD_PROGRESS", "JOBD_HOME", "JOBD_SLOT"}
    assert (found["JOBD_JOB_ID"], found["JOBD_ATTEMPT"]) == (str(job), "1")
    assert found["JOBD_SOCKET"] == str(shared.paths.socket)
    assert "JOBD_CRASH_AT" not in found
    assert os.stat(shared.job(job).output_path).st_mode & 0o777 == 0o600


def test_a_job_submitted_inside_a_job_inherits_nothing_of_it(shared):
    outer = shared.id_of("--", "jobctl", "submit", "-w", "env")
    shared.wait(outer)
    inner = dict(
        line.split("=", 1) for line in shared.output(outer).decode().splitlines() if "=" in line
    )
    assert int(inner["JOBD_JOB_ID"]) > outer
    assert int(inner["JOBD_SLOT"]) > 1


@pytest.mark.local("the reason names the node")
def test_what_cannot_start_says_so_in_its_log(shared):
    done = shared.jobctl("submit", "-w", "-n", "typo", "--", "pyhton", "x.py", code=127)
    (job,) = (j for j in json_of(shared.jobctl("ls", "--json")) if j["name"] == "typo")
    assert job["reason"] == "could not start: pyhton: not found"
    assert job["reason"] in done.stdout
    assert "pyhton: not found in PATH" in done.stderr


@pytest.mark.local("peak memory is known only where Slurm keeps accounts")
def test_usage_is_recorded(shared):
    hungry = "x = bytearray(50_000_000); n = sum(range(3_000_000))"
    job = shared.id_of("--", "python3", "-c", hungry)
    found = shared.wait(job)[job]
    assert found.cpu_s > 0.01
    assert found.max_rss_kb > 50_000


def test_progress_is_seen_as_it_happens(shared):
    gate = shared.gate()
    job = shared.submit(
        f'echo "40 epoch 4 of 10" >>"$JOBD_PROGRESS"; read _ <{gate.path};'
        f" jobctl progress 60; read _ <{gate.path}; jobctl progress 80 -m done"
    )
    os.mkfifo(f"{gate.path}.2")
    lines = shared.submit(f"printf 'loading 70%%\\r75%%\\r'; read _ <{gate.path}.2")
    watch = shared.begin("jobctl", "watch", "--json", str(job))
    wait_until(lambda: shared.job(job).progress == 40, 30)
    assert shared.job(job).progress_message == "epoch 4 of 10"
    wait_until(lambda: shared.job(job).eta_s is not None, 30)
    gate.open()
    wait_until(lambda: shared.job(job).progress == 60, 30)
    gate.open()
    out, _ = watch.communicate(timeout=30)
    assert watch.returncode == 0
    assert shared.job(job).progress == 80
    assert b'"completed"' in out.splitlines()[-1]
    wait_until(lambda: shared.job(lines).progress == 75, 30)
    shared.jobctl("stop", str(lines))
