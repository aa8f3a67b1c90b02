"""Real tools as jobs: `jobctl watch` shows how far they are, and nothing for what has no progress.

All run at once, since each takes a few seconds: that is what a moving percentage is about.
A tool that is not on this machine is skipped; what it prints is replayed in
tests/core/progress/test_tools.py.
"""

import re
import shutil
import sys
from importlib.metadata import distributions

import pytest

from jobd.core.progress.recognition import TOO_SLOW
from tests.core.progress.test_user_pattern import BAD_LINE, BLOWS_UP
from tests.e2e.instance import PATIENCE, json_of
from tests.helpers import wait_until
from tests.tools.place import WAV_SECONDS, lay_out_files, serve

pytestmark = pytest.mark.e2e

PYTHON = shutil.which(sys.executable)
MOVING = {
    "tqdm": f"{PYTHON} -c 'import time, tqdm\nfor _ in tqdm.tqdm(range(60)): time.sleep(0.05)'",
    "wget": "wget -O got1 {url}/big.bin",
    "wget-bar": "wget --progress=bar:force -O got2 {url}/big.bin",
    "curl": "curl -o got3 {url}/big.bin",
    "rsync": "rsync -a --bwlimit=2000 --info=progress2 tree/ copy",
    "pytest": f"{PYTHON} -m pytest -p no:cacheprovider suite",
    "pip": f"{PYTHON} -m pip download --no-cache-dir --no-deps -i {{url}}/simple bulky",
    "ffmpeg": f"ffmpeg -readrate {WAV_SECONDS // 3} -i sound.wav -y sound.mp2",
    "counter": "for n in $(seq 50); do echo step $n/50; sleep 0.1; done",
    "rule": "for n in $(seq 30); do echo $n of all 30 done; sleep 0.1; done",
}
STILL = {
    # Named mounts only: other tests make file servers that never answer.
    "df": "df -h / /dev /proc",
    "load": "cat /proc/loadavg; uptime",
    "dd": "dd if=big.bin of=copied bs=60k status=progress",
    "none": "echo 10%; echo 20%",
}
OPTIONS = {
    "rule": ["--progress", "([0-9]+) of all ([0-9]+)"],
    "none": ["--progress", "none"],
    # Where there is no terminal pip draws its bar only when it is told that there is one.
    "pip": ["--env", "FORCE_COLOR=1"],
}
MODULES = {"tqdm", "pytest", "pip"}
BUILT_IN = {"counter", "rule", "load", "none"}


def is_here(name):
    if name in MODULES:
        # Not find_spec(): of pip, setuptools warns there once something has imported distutils.
        return any(distributions(name=name))
    return name in BUILT_IN or shutil.which(name.partition("-")[0]) is not None


@pytest.fixture(scope="module")
def watched(shared):
    """What `jobctl watch` printed of each job until all had finished, by tool."""
    place = shared.work / "place"
    place.mkdir()
    lay_out_files(place)
    shared.jobctl("workers", "0")
    with serve(place) as url:
        jobs = {
            shared.id_of(
                "-n", name, "-C", place, *OPTIONS.get(name, ()), "-c", line.replace("{url}", url)
            ): name
            for name, line in {**MOVING, **STILL}.items()
            if is_here(name)
        }
        watch = shared.begin("jobctl", "watch", text=True)
        wait_until(shared.connections, PATIENCE)
        shared.jobctl("workers", "20")
        lines = watch.communicate(timeout=PATIENCE)[0].splitlines()
    said = {name: [] for name in jobs.values()}
    for line in lines:
        found = re.match(r"job ([0-9]+) (.*)", line)
        if found and int(found[1]) in jobs:
            said[jobs[int(found[1])]].append(found[2])
    return said


def lines_of(watched, name):
    if name not in watched:
        pytest.skip(f"{name} is not installed")
    assert watched[name][-1] == "completed", watched[name]
    return watched[name]


@pytest.mark.parametrize("name", MOVING)
def test_a_tool_shows_a_moving_percentage(watched, name):
    lines = lines_of(watched, name)
    percents = [float(p[1]) for line in lines if (p := re.search(r"progress: ([0-9.]+)%", line))]
    assert percents == sorted(percents)
    assert len({percent for percent in percents if 0 < percent < 100}) >= 2, lines
    # Of a step of ten the last one is seen when the job has ended.
    assert percents[-1] >= 90


@pytest.mark.parametrize("name", STILL)
def test_what_is_no_progress_shows_none(watched, name):
    assert not [line for line in lines_of(watched, name) if "%" in line]


def test_the_time_left_goes_down(watched):
    lines = lines_of(watched, "counter")
    lefts = [int(left[1]) for line in lines if (left := re.search(r"([0-9]+)s left", line))]
    assert lefts, lines
    assert lefts[-1] == min(lefts) <= 2, lines


@pytest.mark.parametrize(
    ("pattern", "why"),
    [("([0-9]+", "not a regular expression"), ("[0-9]+%", "one group"), ("(a+)+b", "repeats")],
)
def test_a_bad_rule_is_refused_at_submit(shared, pattern, why):
    done = shared.jobctl("submit", "--progress", pattern, "true", code=2)
    assert done.stdout == ""
    assert "--progress" in done.stderr
    assert why in done.stderr


def test_restart_keeps_the_rule(shared):
    job = shared.id_of("--progress", "at ([0-9]+)", "-c", "echo at 40; echo 60%")
    for _ in range(2):
        assert shared.wait(job)[job].progress == 40
        shared.jobctl("restart", str(job))
    shared.wait(job)
    assert json_of(shared.jobctl("show", str(job), "--json"))["progress"] == 40


def test_the_time_left_after_a_restart_of_the_daemon(running):
    gate = running.gate()
    job = running.submit(f'echo 40 >"$JOBD_PROGRESS"; read _ <{gate.path}')
    wait_until(lambda: running.job(job).eta_s, PATIENCE)
    running.jobd("restart")
    left = wait_until(
        lambda: (running.job(job).progress == 40) and running.job(job).eta_s, PATIENCE
    )
    assert 0 < left < 100
    gate.open()
    assert running.wait(job)[job].eta_s is None


def test_a_rule_that_blows_up_holds_nobody(running):
    gate, steps = running.gate(), running.gate("steps")
    bad = running.id_of(
        "--progress", BLOWS_UP, "-c", f"echo {BAD_LINE}; read _ <{gate.path}; echo {BAD_LINE}"
    )
    other = running.id_of("-c", f"for n in 1 2 3; do echo steps $n/10; read _ <{steps.path}; done")

    def told():
        shown = json_of(running.jobctl("show", str(bad), "--json"))
        events = [e for e in shown["events"] if e["data"].get("message") == TOO_SLOW]
        return shown["progress_message"], shown["attempt"], len(events)

    def percent_of_other():
        return running.job(other).progress

    wait_until(lambda: told() == (TOO_SLOW, 1, 1), PATIENCE)
    wait_until(lambda: percent_of_other() == 10, PATIENCE)
    shown = running.jobctl("show", str(bad)).stdout
    assert re.search(f"^ *progress +{re.escape(TOO_SLOW)}$", shown, re.MULTILINE), shown
    running.jobd("status")
    steps.open()
    wait_until(lambda: percent_of_other() == 20, PATIENCE)

    running.jobd("restart")
    steps.open()
    wait_until(lambda: percent_of_other() == 30, PATIENCE)
    assert told() == (TOO_SLOW, 1, 1)
    steps.open()
    gate.open()
    assert running.wait(bad, other)[bad].progress_message == TOO_SLOW
    assert told() == (TOO_SLOW, 1, 1)
    assert running.jobd("log", "-n", "1000").stdout.count("takes too long") == 1

    running.jobctl("restart", str(bad))
    wait_until(lambda: told() == (TOO_SLOW, 2, 2), PATIENCE)
    gate.open()
    running.wait(bad)
