"""The README's own commands work, as they are written there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobctl.actions import exit_codes as exit_codes_of
from jobd.contract import config
from jobd.contract.config import Limits
from jobd.contract.errors import BY_NAME, JobdError, WrongUsage
from jobd.contract.exit_codes import STOPPED
from tests.e2e.conftest import instance as instance  # noqa: PLC0414 - a fixture of theirs
from tests.e2e.instance import Instance

ROOT = Path(__file__).parents[1]
NAMES = {"groups[...]": "groups.NAME", "notify[...]": "[notify]"}
README = (ROOT / "README.md").read_text("utf-8")


def block(heading: str) -> str:
    """The first shell block under a heading."""
    found = re.search(rf"^##+ {heading}\n.*?^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"no shell block under {heading}"
    return found[1]


def run(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Its own commands, in a home of its own; the daemon goes with it."""
    trap = "trap 'jobd stop --now >/dev/null 2>&1' EXIT\n"
    done = subprocess.run(
        ["sh", "-eu", "-c", trap + script],
        cwd=home,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.e2e
def test_daily_use(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data/one").write_text("1\n")
    done = run(block("Daily use"), home)
    assert (home / "data.tgz").exists()
    assert "data/one" in (home / "sums").read_text()
    assert "3 went well" in done.stdout


@pytest.mark.e2e
def test_order_and_timing(home: Path) -> None:
    show_late = '\njobctl logs "$late"\n'
    done = run("jobd start\n" + block("Order and timing") + show_late, home)
    assert "not before" in done.stdout or "waits for 1" in done.stdout
    assert "net: 1 worker, 0 busy, 0 pending" in done.stdout
    assert done.stdout.endswith("\ndata\n")


@pytest.mark.e2e
def test_hooks_and_notifications(home: Path) -> None:
    config = home / "jobd" / "config.toml"
    config.parent.mkdir(mode=0o700)
    config.write_text(f"[[notify]]\nname = 'seen'\ncommand = 'cat >> {home}/seen.json'\n")
    script = (
        "jobd start\n" + block("Hooks and notifications") + "jobctl wait --all --timeout 60 || :\n"
    )
    done = run(script + "while ! [ -s verdict.json ]; do sleep 0.1; done\n", home)
    assert "delivered" in done.stdout
    assert '"on":"test"' in (home / "seen.json").read_text()
    verdict = json.loads((home / "verdict.json").read_text())["notification"]
    assert (verdict["exit_code"], verdict["counts"]["completed"]) == (0, 10)


def test_the_first_commands_are_there() -> None:
    for name in re.findall(r"^(scripts/\w+)", README, re.MULTILINE):
        assert os.access(ROOT / name, os.X_OK), name


def exit_codes() -> dict[str, list[str]]:
    """Of both tables: what may be written in the first column, and the examples behind it."""
    section = README.split("\n## Exit codes\n")[1].split("\n## ")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in section.splitlines() if "|" in line]
    found: dict[str, list[str]] = {}
    for row in rows:
        if row[0] != "code" and not row[0].startswith("--"):
            examples = re.findall("`(.*?)`", row[2]) if len(row) > 2 else []
            found.setdefault(row[0], []).extend(examples)
    return found


@pytest.mark.e2e
def test_the_exit_codes_are_those_of_the_table(instance: Instance) -> None:
    """Each example ends with its row's code. What drains and what is not running come last."""
    told = exit_codes()
    own = {"0 to 255": [42], "128 + N": [128 + 9, 128 + 15]}
    instance.start()
    instance.wait(instance.id_of("true"))
    instance.id_of("--hold", "true")
    later = {code: told.pop(code) for code in ("75", "69")}
    for code, examples in told.items():
        expected = own.get(code) or [int(code)] * len(examples)
        assert [instance.sh(example).returncode for example in examples] == expected, examples
    gate = instance.gate()
    stop = instance.drain(gate)
    assert [instance.sh(example).returncode for example in later["75"]] == [75]
    gate.open()
    assert stop.wait(60) == 0
    assert [instance.sh(example).returncode for example in later["69"]] == [69]


def test_every_exit_code_that_an_error_has_is_in_the_table() -> None:
    kinds = {JobdError, *BY_NAME.values(), WrongUsage}
    codes = {str(kind.exit_code) for kind in kinds} | {"0"}
    others = {exit_codes_of.TIMED_OUT, exit_codes_of.INTERRUPTED, STOPPED}
    jobs = {"0 to 255", "128 + N", "126", "127"}
    assert set(exit_codes()) == codes | {str(code) for code in others} | jobs


def test_the_settings_are_those_of_the_model() -> None:
    told = set()
    for table, keys in re.findall(r"^\| `\[(.*?)\] (.*?) \|", README, re.MULTILINE):
        told |= {(table, key) for key in re.findall(r"\w+", keys)}
    states = [f"retention.{state}" for state in ("completed", "failed", "stopped")]
    limits = set(Limits.__struct_fields__)
    assert all(config.TABLES[state] is Limits for state in states)
    assert told == {
        (NAMES.get(table, table), key)
        for table, model in config.TABLES.items()
        if table not in ("", *states)
        for key in model.__struct_fields__
        if key not in ("completed", "failed", "stopped")
    } | {("retention.STATE", key) for key in limits}


def test_every_path_of_the_map_exists() -> None:
    _, _, the_map = README.partition("## A map of the code")
    rows = re.findall(r"^\| (`.*?) \|", the_map, re.MULTILINE)
    assert rows
    for row in rows:
        first, *more = re.findall(r"`(.*?)`", row)
        for name in [first, *(str(Path(first).parent / beside) for beside in more)]:
            assert (ROOT / name).exists(), name


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^):]+)\)", README):
        path, _, heading = target.partition("#")
        assert (ROOT / path).exists(), target
        assert f"\n## {heading}".casefold() in README.casefold(), target


def test_every_test_that_a_promise_names_exists() -> None:
    promises = (ROOT / "CONTRIBUTING.md").read_text().partition("## What we promise")[2]
    named = re.findall(r"`(tests/[\w/.]+)`", promises)
    assert named
    for name in named:
        assert (ROOT / name).exists(), name
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", promises):
        assert f"def {name}(" in code, name
