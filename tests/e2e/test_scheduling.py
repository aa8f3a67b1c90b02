"""When, where and how often, through the real commands: stages, groups, slots, retries, keys."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from jobd.contract.models import Events
from jobd.system import linux
from tests.e2e.instance import PATIENCE, json_of
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e


def submit(instance, jobs, **defaults):
    """A manifest; the ids by name."""
    manifest = json.dumps({"defaults": defaults, "jobs": jobs}).encode()
    done = instance.jobctl("submit", "--json", "--manifest", "-", input=manifest)
    return {job["name"]: job["id"] for job in json_of(done)}


def started(instance):
    """The jobs in the order in which they were started."""
    events = instance.client().events(Events(after=0, limit=10_000)).events
    return [event.job for event in events if event.event == "started"]


# --- stages -------------------------------------------------------------------------------------


def test_three_stages_of_fifty_with_one_failing_in_the_middle(instance):
    instance.start("--workers", "6")
    jobs = {}
    for number in range(50):
        for stage, parent in (("a", None), ("b", "a"), ("c", "b")):
            name = f"{stage}{number}"
            need = " && test -e mended" if name == "b25" else ""
            jobs[name] = {
                "command": f"echo {name} >>ran{need}",
                "after": [f"{parent}{number}"] if parent else [],
            }
    ids = submit(instance, jobs)
    everything = f"{min(ids.values())}-{max(ids.values())}"
    assert len(ids) == 150
    said = instance.jobctl("wait", everything, code=1).stderr
    assert "148 of 150 completed, 2 failed" in said
    failed = json_of(instance.jobctl("ls", "--state", "failed", "--json"))
    assert {job["name"]: job["reason"] for job in failed} == {
        "b25": "exit code 1",
        "c25": f"dependency failed: {ids['b25']}",
    }
    (instance.work / "mended").touch()
    restarted = instance.jobctl("restart", "--failed").stdout.split()
    assert sorted(map(int, restarted)) == sorted([ids["b25"], ids["c25"]])
    instance.jobctl("wait", everything)
    # b25 ran again because it was told to; nothing else did, and nothing was left out.
    assert sorted(instance.lines("ran")) == sorted([*jobs, "b25"])
    parents = {job["name"]: job for job in json_of(instance.jobctl("ls", everything, "--json"))}
    assert all(job["state"] == "completed" for job in parents.values())
    assert all(parents[f"b{n}"]["started_at"] >= parents[f"a{n}"]["finished_at"] for n in range(50))


# --- groups -------------------------------------------------------------------------------------


class Two:
    """Groups `a` and `b`, each with jobs that wait at a gate of their own."""

    def __init__(self, instance):
        self.instance = instance
        self.gates = {name: instance.gate(f"gate-{name}") for name in "ab"}
        self.ids = {}

    def submit(self, group, count):
        wait = f"echo $JOBD_JOB_ID >>{group}; read _ <{self.gates[group].path}"
        jobs = {f"{group}{number}": {"command": wait} for number in range(count)}
        self.ids |= submit(self.instance, jobs, group=group)

    def running(self, group):
        found = json_of(self.instance.jobctl("ls", "--state", "running", "--json"))
        return sum(job["group"] == group for job in found)

    def end(self, group, jobs=1):
        """So many of its jobs end, and as many as may have taken their place."""
        before = len(self.ended(group))
        self.gates[group].open(jobs)
        wait_until(lambda: len(self.ended(group)) >= before + jobs, PATIENCE)

    def ended(self, group):
        found = json_of(self.instance.jobctl("ls", "--state", "completed", "--json"))
        return [job for job in found if job["group"] == group]


def test_a_flood_in_one_group_leaves_the_other_its_workers(running):
    running.jobctl("groups", "add", "a", "--workers", "1")
    running.jobctl("groups", "add", "b", "--workers", "2")
    two = Two(running)
    two.submit("a", 12)
    two.submit("b", 5)
    running.await_lines("a", 1)
    running.await_lines("b", 2)
    assert (two.running("a"), two.running("b")) == (1, 2)
    full = running.client().show(two.ids["a11"])
    assert full.job.reason == "group full"
    assert full.why == "1 of 1 workers of group a busy; 10 jobs before it"
    for ended in range(1, 4):
        two.end("b")
        running.await_lines("b", 2 + ended)
        assert (two.running("a"), two.running("b")) == (1, 2)
    two.end("a", 2)
    running.await_lines("a", 3)
    assert (two.running("a"), two.running("b")) == (1, 2)

    # More for the group, and for all: released at once.
    running.jobctl("workers", "5")
    running.jobctl("groups", "set", "a", "--workers", "3")
    running.await_lines("a", 5)
    assert (two.running("a"), two.running("b")) == (3, 2)

    # Paused, it starts nothing, and what runs goes on.
    running.jobctl("pause", "--group", "a")
    listed = {group["name"]: group for group in json_of(running.jobctl("groups", "--json"))}
    assert listed["a"] == {"name": "a", "workers": 3, "paused": True, "busy": 3, "pending": 7}
    two.end("a")
    two.end("b")
    assert (two.running("a"), len(running.lines("a"))) == (2, 5)
    assert running.client().show(two.ids["a11"]).job.reason == "group paused"
    refused = running.jobctl("groups", "rm", "a", code=1).stderr
    assert "group a is not empty" in refused
    running.jobctl("resume", "--group", "a")
    running.await_lines("a", 6)
    assert two.running("a") == 3

    two.gates["a"].open(9)
    two.gates["b"].open(1)
    running.jobctl("wait", "--all")
    running.jobctl("groups", "rm", "a")
    assert [group["name"] for group in json_of(running.jobctl("groups", "--json"))] == [
        "b",
        "default",
    ]


# --- slots --------------------------------------------------------------------------------------


def test_a_heavy_job_at_the_head_is_not_overtaken_for_ever(running):
    gates = {name: running.gate(name) for name in ("light", "heavy")}
    wait = {name: f"echo {name} >>ran; read _ <{gate.path}" for name, gate in gates.items()}
    running.submit(*[wait["light"]] * 3)
    running.await_lines("ran", 3)
    heavy = submit(running, {"heavy": {"command": wait["heavy"], "slots": 3}})["heavy"]
    behind = running.submit(*[wait["light"]] * 30)
    why = json_of(running.jobctl("show", str(heavy), "--json"))["why"]
    assert why == "needs 3 workers, 3 of 3 workers busy; next in line"
    gates["light"].open(3)
    running.await_lines("ran", 4)
    assert running.lines("ran")[3:] == ["heavy"]
    assert running.status().busy == 3
    gates["heavy"].open()
    running.await_lines("ran", 7)
    assert started(running)[3:7] == [heavy, behind, behind + 1, behind + 2]
    gates["light"].open(30)
    running.jobctl("wait", "--all")


# --- GPUs ---------------------------------------------------------------------------------------


@pytest.mark.local("GPUs of nodes are given out by Slurm")
def test_no_gpu_is_given_out_twice(instance):
    instance.home.mkdir(parents=True)
    (instance.home / "config.toml").write_text("[gpus]\ndevices = [1, 0]\n")
    instance.start("--workers", "4")
    gate = instance.gate()
    wait = f"echo $CUDA_VISIBLE_DEVICES; echo >>ran; read _ <{gate.path}"
    submitted = [
        int(instance.jobctl("submit", "--gpus", count, wait).stdout)
        for count in ["1"] * 3 + ["2"] + ["1"] * 3
    ]
    none = int(instance.jobctl("submit", 'echo "[$CUDA_VISIBLE_DEVICES]"').stdout)
    instance.wait(none)
    assert instance.output(none) == b"[]\n"
    instance.await_lines("ran", 2)
    why = json_of(instance.jobctl("show", str(submitted[3]), "--json"))["why"]
    assert why == "waits for 2 GPUs (0 of 2 free); 1 job before it"
    refused = instance.jobctl("submit", "--gpus", "3", "true", code=1).stderr
    assert "--gpus: 2 GPUs are configured" in refused
    gate.open(7)
    jobs = instance.wait(submitted[0], submitted[-1]).values()
    given = {job: instance.output(job).split()[0].decode().split(",") for job in submitted}
    assert given[submitted[0]] == ["1"]
    assert sorted(given[submitted[3]]) == ["0", "1"]
    changes = sorted(
        change
        for job in jobs
        for gpu in given[job.id]
        for change in [(job.started_at, 1, gpu), (job.finished_at, -1, gpu)]
    )
    used = {"0": 0, "1": 0}
    for _, change, gpu in changes:
        used[gpu] += change
        assert used[gpu] in (0, 1)
    # The one that wants two is not overtaken by those behind it.
    assert started(instance).index(submitted[3]) < started(instance).index(submitted[4])


# --- retries ------------------------------------------------------------------------------------

TWICE = "echo attempt $JOBD_ATTEMPT; test $JOBD_ATTEMPT -ge 3"


def assert_third_time_lucky(instance, job, delay):
    found = instance.job(job)
    attempts = instance.attempts(job)
    assert (found.state, found.attempt, found.failures) == ("completed", 3, 2)
    assert [(a.state, a.exit_code) for a in attempts] == [
        ("failed", 1), ("failed", 1), ("completed", 0),
    ]  # fmt: skip
    for attempt in (1, 2, 3):
        output = instance.output(job, "--attempt", str(attempt))
        assert output == b"attempt %d\n" % attempt
    gaps = [
        (later.started_at - earlier.finished_at).total_seconds()
        for earlier, later in pairwise(attempts)
    ]
    assert gaps[0] >= delay
    assert gaps[1] >= 2 * delay


def test_retries(running):
    jobs = {"flaky": {"command": TWICE, "retries": 3, "retry-delay": 0.3}}
    job = submit(running, jobs)["flaky"]
    running.jobctl("wait", str(job))
    assert_third_time_lucky(running, job, 0.3)
    said = running.jobctl("events", str(job)).stdout
    assert said.count(f"job {job} retrying (exit code 1)") == 2


def why_again(client, job, failures):
    """Why it waits for so many failures' sake; its state and the words are of one moment."""
    shown = client.show(job)
    waits = shown.job.reason == "retry backoff" and shown.job.failures == failures
    return shown.why if waits else None


def test_retries_survive_the_death_of_the_daemon(running):
    jobs = {"flaky": {"command": TWICE, "retries": 3, "retry-delay": 1}}
    job = submit(running, jobs)["flaky"]
    wait = running.begin("jobctl", "wait", str(job))
    client = running.client()
    for failures in (1, 2):
        detail = wait_until(lambda: why_again(client, job, failures), PATIENCE)  # noqa: B023 # used at once
        assert detail.startswith(f"retry {failures} of 3 in ")
        pid = running.status().pid
        running.kill(pid)
        running.answers_anew(pid)
    assert wait.wait(PATIENCE) == 0
    assert_third_time_lucky(running, job, 1.0)


# --- keys ---------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_job(running):
    def keyed(line="true", code=0):
        done = running.jobctl("submit", "--key", "build-42", line, code=code)
        return done.stdout.strip(), done.stderr

    with ThreadPoolExecutor(6) as pool:
        found = {future.result()[0] for future in [pool.submit(keyed) for _ in range(6)]}
    assert len(found) == 1
    (job,) = found
    running.wait(int(job))
    running.jobd("restart")
    assert keyed()[0] == job
    pid = running.answers().pid
    running.kill(pid)
    running.answers_anew(pid)
    assert keyed()[0] == job
    assert "'build-42' belongs to job" in keyed("false", code=1)[1]
    listed = json_of(running.jobctl("ls", "--json"))
    assert [(one["id"], one["key"], one["attempt"]) for one in listed] == [
        (int(job), "build-42", 1)
    ]


# --- halting, editing, looking ------------------------------------------------------------------


def test_a_paused_job_stands_still_until_it_is_resumed(running):
    job = running.submit("echo $$ >>ran; while :; do :; done")
    pid = int(running.await_lines("ran", 1)[0])
    assert running.jobctl("pause", str(job)).stdout == f"{job}\n"
    wait_until(lambda: linux.stat_of(pid).state == "T", PATIENCE)
    assert f"job {job} is already paused" in running.jobctl("pause", str(job)).stderr
    found = running.job(job)
    assert (found.state, found.paused) == ("running", True)
    assert f"{job}: paused" in running.jobctl("status").stdout
    assert running.jobctl("resume", "--all").stdout == f"{job}\n"
    wait_until(lambda: linux.stat_of(pid).state in "RS", PATIENCE)
    assert f"job {job} is not paused" in running.jobctl("resume", str(job)).stderr
    running.jobctl("pause", str(job))
    # What is halted can be stopped all the same.
    running.jobctl("stop", str(job))
    assert running.job(job).state == "stopped"


def test_a_pending_job_is_edited_in_place(running):
    running.jobctl("workers", "0")
    ids = submit(running, {name: {"command": "true"} for name in ("one", "two", "three")})
    one, two, three = (str(ids[name]) for name in ("one", "two", "three"))
    changes = ["--priority", "high", "--name", "zwei", "--after", one, "-t", "x", "-t", "y"]
    assert running.jobctl("edit", two, *changes, "--time-limit", "1h").stdout == f"{two}\n"
    job = running.job(ids["two"])
    assert (job.priority, job.name, job.tags, job.after) == (100, "zwei", ["x", "y"], [ids["one"]])
    assert (job.time_limit_s, job.reason) == (3600, "dependency")
    listed = running.jobctl("ls").stdout
    assert f"waits for {one}" in listed
    circle = running.jobctl("edit", one, "--after", two, code=1).stderr
    assert f"{one} → {two} → {one}" in circle
    running.jobctl("edit", two, "--after", "none", "--tag", "none", "--time-limit", "none")
    job = running.job(ids["two"])
    assert (job.after, job.tags, job.time_limit_s, job.reason) == ([], [], None, "queued")
    history = running.jobctl("events", two).stdout
    running.jobctl("groups", "add", "other", "--workers", "1")
    running.jobctl("edit", two, "--group", "other")
    assert running.job(ids["two"]).group == "other"
    assert f"edited (name zwei, tags x,y, priority 100, after {one}, time limit 1h00m)" in history
    running.jobctl("workers", "1")
    running.jobctl("wait", f"{one},{two},{three}")
    assert started(running) == [ids["two"], ids["one"], ids["three"]]
    assert "only pending jobs" in running.jobctl("edit", two, "-n", "x", code=1).stderr


def test_a_manifest_is_taken_whole_or_not_at_all(running):
    def refused(jobs, code=2):
        manifest = json.dumps({"jobs": jobs}, indent=0).encode()
        return running.jobctl("submit", "--manifest", "-", input=manifest, code=code).stderr

    good = {"command": "true"}
    assert refused({"good": good, "bad": {"command": "true", "group": "nope"}}, 1).startswith(
        "jobctl: stdin, line 6: job bad: --group: there is no group 'nope'"
    )
    assert "line 6: job bad: --after: job 99 does not exist" in refused(
        {"good": good, "bad": {"command": "true", "after": 99}}, 1
    )
    assert "a → b → a" in refused({"a": {**good, "after": "b"}, "b": {**good, "after": "a"}})
    assert json_of(running.jobctl("ls", "--json")) == []


def test_rm_of_a_parent_that_others_wait_for_is_refused(running):
    parent = running.id_of("--hold", "true")
    child = running.id_of("--after", str(parent), "true")
    for options in ([], ["--force"]):
        refused = running.jobctl("rm", *options, str(parent), code=1)
        assert refused.stdout == ""
        assert refused.stderr.count("\n") == 1
    assert refused.stderr == (
        f"jobctl: job {parent} cannot be removed: {child} waits for it; remove that with it\n"
    )
    assert [running.job(job).state for job in (parent, child)] == ["pending"] * 2
    both = [str(parent), str(child)]
    assert running.jobctl("rm", "--force", *both).stdout.split() == both
