"""The recipes of docs/how-to/scripts.md as they stand there, in each shell of scripts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.instance import PATIENCE

pytestmark = pytest.mark.e2e

SECTION = (Path(__file__).parents[2] / "docs/how-to/scripts.md").read_text("utf-8")
RECIPES = re.findall(
    r"^([^\n]+)\n(?:[^\n`]+\n)?\n```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL
)
PRINTS = {
    "A loop": r"(\d+\n){2}all zipped\n",
    "A batch": r"part 1\npart 2\npart 3\n",
    "Wait": r"failed:\nno data\n",
    "What failed": r"\d+\nall done now\n",
    "With `set -e`": r"one step\nboth done\n",
    "With `xargs`": r"([0-9a-f]{64}  data/[ab b].*csv\n){2}",
    "With `trap`": r"nothing to stop\n",
    "With `jq`": r"pack took true\nexit 42\n",
}
"""How each recipe begins, and all that it prints on stdout."""


def recipe(beginning):
    (found,) = [text for heading, text in RECIPES if heading.startswith(beginning)]
    return found


def test_every_recipe_is_tried():
    assert len(RECIPES) == len(PRINTS)
    assert SECTION.count("```sh") == len(PRINTS)


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize("beginning", PRINTS)
def test_recipe(shared, tmp_path, shell, beginning):
    text = recipe(beginning)
    for tool in [shell, *(["jq"] if "jq" in beginning else [])]:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "data" / name).write_text("2\n1\n")
    if "jq" in beginning:
        shared.jobctl("submit", "-w", "exit 42", code=42)
    done = subprocess.run(
        [shell, "-c", text],
        cwd=tmp_path,
        env=shared.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(PRINTS[beginning], done.stdout), (done.stdout, done.stderr)


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_set_e_ends_with_the_job_that_failed(shared, tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    text = recipe("With `set -e`")  # data/b.csv is missing
    done = subprocess.run(
        [shell, "-c", text], cwd=tmp_path, env=shared.env, capture_output=True, text=True,
        timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == "one step"
    assert "both done" not in done.stdout
