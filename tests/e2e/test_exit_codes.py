"""Every exit code of the contract, from the real commands."""

import signal

import pytest

from tests.helpers import is_connected, wait_until

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("true", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -KILL $$", 128 + 9),
        ("kill -TERM $$", 128 + 15),
    ],
)
def test_a_job_gives_its_own(shared, command, code):
    shared.jobctl("submit", "-w", "-c", command, code=code)


def test_killed_by_its_time_limit(shared):
    done = shared.jobctl("submit", "-w", "--time-limit", "0.2", "sleep 60", code=128 + 15)
    assert "time limit" in done.stderr


def test_could_not_start(shared):
    shared.jobctl("submit", "-w", "--", "pyhton", code=127)
    (shared.work / "no_program").write_text("")
    shared.jobctl("submit", "-w", "--", "./no_program", code=126)
    shared.jobctl("submit", "-w", "--stdin", "/no/such", "--", "cat", code=126)


def test_stopped_and_what_waited_for_it(shared):
    held = shared.id_of("--hold", "true")
    child = shared.id_of("--after", str(held), "true")
    shared.jobctl("stop", str(held))
    shared.jobctl("wait", str(held), code=143)
    shared.jobctl("wait", str(child), code=1)
    assert shared.job(child).reason == f"dependency failed: {held}"


def test_several_jobs_are_one_or_zero(shared):
    good, bad = shared.id_of("true"), shared.id_of("exit 9")
    shared.jobctl("wait", str(good), str(bad), code=1)
    shared.jobctl("wait", str(good), str(good), code=0)
    shared.jobctl("wait", str(good), "999999", code=1)


def test_an_id_that_does_not_exist_beside_others(shared):
    job = shared.id_of("--hold", "true")
    done = shared.jobctl("stop", str(job), "999999", code=1)
    assert done.stdout == f"{job}\n"
    assert done.stderr == "jobctl: job 999999 does not exist\n"
    again = shared.jobctl("stop", str(job))
    assert (again.stdout, again.stderr) == ("", f"job {job} has already been stopped\n")


def test_wrong_usage(shared):
    for words in (["stop"], ["submit"], ["ls", "x"], ["wait", "--nope"], ["nope"]):
        shared.jobctl(*words, code=2)


def test_what_another_queue_would_accept_is_no_wrong_usage(shared):
    shared.jobctl("groups", "add", "--workers", "1", "narrow")
    held = str(shared.id_of("--hold", "--slots", "2", "true"))
    bad = shared.id_of("exit 1")
    shared.wait(bad)
    for option in (
        ["--group", "none"], ["--slots", "21"], ["--slots", "2", "--group", "narrow"],
        ["--gpus", "1"], ["--after", "999999"], ["--after-any", "999990-999999"],
        ["--like", "999999"],
    ):  # fmt: skip
        shared.jobctl("submit", *option, "true", code=1)
    child = str(shared.id_of("--hold", "--after", held, "true"))
    for option in (
        ["--group", "none"], ["--group", "narrow"], ["--after", "999999"], ["--after", child],
        ["--after", str(bad)],
    ):  # fmt: skip
        shared.jobctl("edit", held, *option, code=1)
    shared.jobctl("edit", held, "--after", held, code=2)
    shared.jobctl("submit", "--slots", "1001", "true", code=2)
    for words in (
        ["pause", "--group", "none"], ["groups", "rm", "none"], ["groups", "rm", "default"],
        ["groups", "set", "none", "--workers", "1"], ["progress", "--job", held, "5"],
        ["show", "999999"], ["logs", "999999"],
    ):  # fmt: skip
        shared.jobctl(*words, code=1)
    shared.jobctl("stop", held, child)
    shared.jobctl("groups", "rm", "narrow")


def test_a_wait_that_ran_out(shared):
    job = str(shared.id_of("--hold", "true"))
    shared.jobctl("wait", "--timeout", "0.1", job, code=124)
    shared.jobctl("stop", job)


def test_interrupted(shared):
    held = str(shared.id_of("--hold", "true"))
    for words, code in ((["wait", held], 130), (["submit", "-w", "--hold", "true"], 130),
                        (["logs", "-f", held], 130), (["watch", held], 0)):  # fmt: skip
        process = shared.begin("jobctl", *words)
        wait_until(lambda process=process: is_connected(process.pid))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == code, words
        assert b"Traceback" not in process.stderr.read()
    shared.jobctl("stop", "--state", "pending")


def test_stop_on_interrupt_leaves_nothing_running(shared):
    process = shared.begin("jobctl", "submit", "-w", "--stop-on-interrupt", "echo >>up; sleep 60")
    # Also that the client has its answer: the job may be up before that.
    job = int(process.stderr.readline().split()[1])
    shared.await_lines("up", 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    said = process.stderr.read().decode()
    assert shared.job(job).state == "stopped"
    assert "stopping job" in said


def test_not_running(instance):
    for words in (["ls"], ["submit", "true"], ["status"], ["wait", "1"], ["hold", "1"]):
        done = instance.jobctl(*words, code=69)
        assert "jobd start" in done.stderr
    assert instance.jobd("status", code=3).stdout.startswith("jobd is not running")


def test_a_stream_that_is_full_changes_no_outcome(running):
    """Whoever cannot be told something is not told that it failed: it would be done again."""
    full = "/dev/full"
    later = running.sh(f"jobctl submit --at 2090-01-01 true 2>{full}")
    assert (later.returncode, later.stdout) == (0, "1\n")
    waited = running.sh(f"jobctl submit -w 'echo out; exit 3' 2>{full}")
    assert (waited.returncode, waited.stdout) == (3, "out\n")
    assert running.sh(f"jobctl wait 2 2>{full}").returncode == 3
    lost = running.sh(f"jobctl submit --hold true >{full}")
    assert lost.returncode == 1
    assert "3 was submitted, and cannot be printed: No space left on device" in lost.stderr
    for words, which in (("true", "4 was"), ("--array 1-2 true", "5-6 were")):
        lost = running.sh(f"jobctl submit --json --hold {words} >{full}")
        assert lost.returncode == 1
        assert f"{which} submitted, and cannot be printed: No space left" in lost.stderr
    for stdout in (full, "&-"):
        waited = running.sh(f"jobctl submit -w 'echo out; exit 3' >{stdout}")
        assert waited.returncode == 3
        assert "its output cannot be written: " in waited.stderr
        assert "failed (exit code 3)" in waited.stderr


def test_a_log_whose_reader_has_gone_was_read(running):
    for words in ("log", "log -f", "log -n 1000000"):
        done = running.sh(f"{{ jobd {words}; echo $? >&2; }} | head -n 1 >/dev/null")
        assert done.stderr == "0\n", words


def test_what_drains_says_so_to_whoever_starts_it(running):
    gate = running.gate()
    stop = running.drain(gate)
    said = running.jobd("start")
    assert "is already running" in said.stdout
    assert "it is shutting down and takes no new jobs" in said.stderr
    assert "it goes on shutting down" in running.jobd("restart").stderr
    gate.open()
    assert stop.wait(60) == 0


def test_who_waits_for_any_hears_which(running):
    gate = running.gate()
    running.submit(f"read _ <{gate.path}", "exit 4", f"read _ <{gate.path}")
    done = running.jobctl("wait", "--any", "1-3", code=1)
    assert done.stderr.startswith("job 2 failed (exit code 4) after ")
    assert running.jobctl("show", "2").stdout.count("state") == 1
    gate.open(2)


def test_show_tells_what_was_asked_for(running):
    options = [
        "--retries", "2", "--retry-delay", "7s", "--retry-on", "3,4", "--requeue", "--nice", "5",
        "--max-output", "5MB", "--progress", "none", "--stdin", "/etc/hostname",
    ]  # fmt: skip
    running.jobctl("submit", "--hold", *options, "true")
    told = running.jobctl("show", "1").stdout
    for label, value in {
        "retry delay": "7.0s", "retry on": "3,4", "requeue": "yes", "nice": "5",
        "max output": "5 MB", "progress by": "none", "stdin": "/etc/hostname",
    }.items():  # fmt: skip
        assert f"  {label:<12}{value}\n" in told, told
    running.jobctl("submit", "--hold", "true")
    plain = running.jobctl("show", "2").stdout
    assert "requeue" not in plain
    assert "retry" not in plain
