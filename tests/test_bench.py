"""The benchmark tells what it has measured and whether that is enough; it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmarks import cli, contest, floor, table
from scripts.benchmarks.bench import Bench, Scenario
from scripts.benchmarks.contest import Round
from scripts.benchmarks.figures import (
    Failed,
    Figure,
    Outcome,
    Skipped,
    at_least,
    at_most,
    of_rounds,
)
from scripts.benchmarks.machine import this_machine
from scripts.benchmarks.measure import percentile
from scripts.benchmarks.peers import Peer, round_of
from scripts.benchmarks.scenarios import SCENARIOS
from scripts.benchmarks.scenarios.slurm import of_partition
from scripts.benchmarks.sizes import SIZES, TINY
from tests import slurm_cluster
from tests.helpers import wait_until
from tests.test_architecture import Module
from tests.test_sizes import too_large

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "scripts/bench"
SOME = ["dispatch", "durable", "many-eyes"]
"""Those that together touch most of it; all the others are tried by `scripts/test -m slow`."""


def bench(*words: str, code: int = 0) -> str:
    done = subprocess.run([BENCH, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def told(*names: str) -> dict[str, dict]:
    """What these scenarios give in the smallest size, each by its name."""
    found = json.loads(bench("--size", "tiny", "--json", *names))
    assert set(found["machine"]) >= {"date", "cpu", "cores", "kernel", "python", "file_system"}
    return {scenario["scenario"]: scenario for scenario in found["scenarios"]}


# --- as a whole -------------------------------------------------------------------------------


def test_the_list_has_every_scenario() -> None:
    assert [line.split()[0] for line in bench("--list").splitlines()] == list(SCENARIOS)


def test_an_unknown_scenario_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["dispatch", "no-such-thing"])
    assert (
        "no scenario is called no-such-thing; see: scripts/bench --list" in capsys.readouterr().err
    )


def assert_measured(found: dict[str, dict], names: list[str]) -> None:
    assert list(found) == names
    for scenario in found.values():
        assert scenario["failed"] is None
        assert scenario["figures"] or scenario["skipped"]
        assert any(figure["target"] for figure in scenario["figures"]) or scenario["skipped"]


@pytest.mark.e2e
def test_scenarios_measure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(home))
    assert_measured(told(*SOME), SOME)
    assert os.listdir(home) == []


@pytest.mark.e2e
@pytest.mark.slow
def test_all_other_scenarios_measure() -> None:
    others = [name for name in SCENARIOS if name not in SOME]
    assert_measured(told("--peers", *others), others)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_cluster_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    if why := slurm_cluster.missing():
        pytest.skip(f"no Slurm: {why}")
    with slurm_cluster.started() as cluster:
        for name in ("PATH", "SLURM_CONF"):
            monkeypatch.setenv(name, cluster.environ[name])
        found = told("slurm")
    assert_measured(found, ["slurm"])
    assert found["slurm"]["skipped"] is None


@pytest.mark.parametrize(
    ("line", "jobs"),
    [
        ("all* 0/12/0/12 FORCE:4", 48),
        ("all* 4/8/2/14 NO", 12),  # two are of nodes that are down
        ("all* 0/8/0/8 FORCE", 8),
        ("all* 0/8/0/8 YES:4", 8),  # a job would have to ask for it
        ("other 0/8/0/8 NO", 0),
    ],
)
def test_as_many_at_a_time_as_the_cluster_runs(line: str, jobs: int) -> None:
    assert of_partition(line) == jobs


@pytest.mark.e2e
def test_nothing_is_left_when_it_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(home))
    process = subprocess.Popen(
        [BENCH, "--quick", "dispatch"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: list(home.glob("jobd-bench-*/*/jobd.sock")), 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert os.listdir(home) == []


def test_nothing_of_it_is_too_large() -> None:
    files = sorted((ROOT / "scripts").rglob("*.py"))
    assert files
    assert too_large([Module(file.stem, file.read_text("utf-8")) for file in files]) == []


# --- what becomes of a scenario ---------------------------------------------------------------


def one(value: float = 1.0) -> Iterator[Figure]:
    yield Figure(what="it", value=value, unit="s", target=at_most(2))


def broken(error: Exception) -> Iterator[Figure]:
    yield from one()
    raise error


@pytest.fixture
def scenarios(monkeypatch: pytest.MonkeyPatch) -> dict[str, Scenario]:
    """Of our own, in the place of all that there are; signals stay as they are."""
    own = {
        "good": Scenario("good", "one", lambda _: one()),
        "missed": Scenario("missed", "one", lambda _: one(3)),
        "failing": Scenario("failing", "one", lambda _: broken(Failed("it was not to be"))),
        "wrong": Scenario("wrong", "one", lambda _: broken(KeyError("pid"))),
        "skipping": Scenario("skipping", "one", lambda _: broken(Skipped("nothing there"))),
    }
    monkeypatch.setattr(cli, "SCENARIOS", own)
    monkeypatch.setattr(cli, "_ENDING", ())
    return own


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["good"], 0),
        (["missed"], 0),
        (["missed", "--strict"], 1),
        (["good", "--strict"], 0),
        (["skipping", "--strict"], 0),
        (["failing", "good"], 1),
        (["wrong", "good"], 1),
    ],
)
@pytest.mark.usefixtures("scenarios")
def test_the_exit_code_tells_what_broke(words: list[str], code: int) -> None:
    assert cli.main(["--size", "tiny", *words]) == code


def test_one_that_breaks_says_why_and_the_others_go_on(
    scenarios: dict[str, Scenario], capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    cli.main(["--size", "tiny", "--markdown", str(home / "bench.md"), *scenarios])
    shown = capsys.readouterr().out
    written = (home / "bench.md").read_text()
    for text in (shown, written):
        assert "failed: it was not to be" in text
        assert "failed: KeyError: 'pid'" in text
        assert "skipped: nothing there" in text
        assert "4 of 5 targets reached" in text
    assert "not: missed, it: 3 s (≤ 2)" in shown
    assert "## skipping" in written
    assert os.uname().release in written
    assert "tiny size" in written


def test_json_says_what_is_reached(
    scenarios: dict[str, Scenario], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["--size", "tiny", "--json", *scenarios])
    found = json.loads(capsys.readouterr().out)
    reached = [[figure["reached"] for figure in one["figures"]] for one in found["scenarios"]]
    assert reached == [[True], [False], [True], [True], [True]]
    assert found["scenarios"][2]["failed"] == "it was not to be"
    assert found["size"] == "tiny"


# --- figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "value", "reached"),
    [
        (at_least(2), 2.0, True),
        (at_least(2), 1.9, False),
        (at_most(2), 2.0, True),
        (at_most(2), 2.1, False),
        (None, 7.0, None),
    ],
)
def test_a_target_is_reached_or_not(target, value, reached) -> None:
    assert Figure(what="it", value=value, unit="s", target=target).is_reached is reached


def test_a_figure_of_rounds_is_their_median() -> None:
    figure = of_rounds("it", [3, 1, 8], "s")
    assert (figure.value, figure.low, figure.high) == (3, 1, 8)
    with pytest.raises(Skipped, match="no round"):
        of_rounds("it", [], "s")


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3, 1, 2], 99) == 3
    assert percentile(range(1, 101), 99) == 99
    assert percentile([7], 50) == 7


def test_a_table_has_no_empty_columns() -> None:
    outcome = Outcome("it", "what", [Figure(what="a|b", value=12345.6, unit="s")])
    text = table.text_of(outcome)
    assert "12,346" in text
    assert "reached" not in text
    assert "CPU" not in text
    assert "a\\|b" in table.markdown_of([outcome], this_machine(Path("/")), TINY)


def test_sizes_have_names() -> None:
    assert all(sizes.name == name for name, sizes in SIZES.items())


# --- by turns ---------------------------------------------------------------------------------


@pytest.fixture
def bench_here(home: Path) -> Bench:
    return Bench(home, TINY, with_peers=False, say=lambda _: None)


def failing() -> Round:
    raise Failed("no such server")


def test_a_peer_that_fails_is_left_out(bench_here: Bench) -> None:
    notes: list[str] = []
    bench_here.note = notes.append
    contenders = {"jobd": lambda: Round(10, 2.0, 0.1), "other": failing}
    found = contest.rounds_of(bench_here, contenders, needed=("jobd",))
    assert list(found) == ["jobd"]
    assert notes == ["left out: no such server"]
    with pytest.raises(Failed):
        contest.rounds_of(bench_here, contenders, needed=("other",))


def test_a_ratio_is_of_the_same_round() -> None:
    slow, fast = Round(10, 2.0, 0.1), Round(10, 1.0, 0.1)
    assert contest.ratios([slow, fast], [fast, fast]) == [0.5, 1.0]
    assert contest.ratios([slow, fast, fast], [fast, fast]) == [0.5, 1.0]


def test_a_slow_peer_takes_part_in_fewer_rounds(bench_here: Bench) -> None:
    bench_here.sizes = replace(TINY, rounds=3, peer_rounds=2)
    contenders = {name: lambda: Round(10, 1.0, 0.1) for name in ("jobd", "xargs", "other")}
    found = contest.rounds_of(bench_here, contenders, needed=("jobd",), brief=("other",))
    assert {name: len(rounds) for name, rounds in found.items()} == {
        "jobd": 3,
        "xargs": 3,
        "other": 2,
    }


PEER = Peer(name="other", programs=("sh",), run="true")


def test_the_work_of_whatever_a_peer_leaves_behind_is_counted(home: Path) -> None:
    """Its daemons are no children of the shell that has started them."""
    spin = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"
    busy = Peer(name="other", programs=("sh",), run=f"(({spin}) &) & wait")
    _, idle_cpu = round_of(PEER, 1, 1, home / "idle")
    _, cpu = round_of(busy, 1, 1, home / "busy")
    assert cpu > idle_cpu + 0.02


def test_what_a_peer_leaves_behind_is_ended(home: Path) -> None:
    """That none is left is seen at the end of all tests."""
    failing = Peer(name="other", programs=("sh",), run="(setsid sleep 1000 &) ; exit 3")
    with pytest.raises(Failed, match=r"other: exit code 3 of: .*sleep 1000"):
        round_of(failing, 1, 1, home / "left")


def test_a_peer_needs_all_its_programs() -> None:
    assert PEER.is_there()
    assert not Peer(name="other", programs=("sh", "no-such-program"), run="").is_there()
    assert not Peer(name="other", programs=("python3",), package="no_such", run="").is_there()


# --- the floor --------------------------------------------------------------------------------


@pytest.mark.e2e
def test_the_floor_is_that_of_the_same_rows(bench_here: Bench, home: Path) -> None:
    import sqlite3

    with bench_here.instance() as instance:
        instance.jobctl("submit", "--file", "-", stdin=b"true\n" * 7)
        assert floor.insert_seconds(instance.paths.database, home / "copy") > 0
        assert floor.read_seconds(instance.paths.database, "jobs", home / "rows") > 0
    copy = sqlite3.connect(home / "copy")
    assert copy.execute("SELECT COUNT(*) FROM jobs").fetchone() == (7,)
    assert copy.execute("SELECT COUNT(*) FROM events").fetchone()[0] >= 7
    copy.close()
    rows = [json.loads(line) for line in (home / "rows").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(1, 8))
