"""The wheel is whole: what it installs works outside the checkout, in an empty environment.

Nothing is fetched: the build uses the setuptools that is there, and the empty environment sees
our dependencies (not the project itself) through links to where they are installed.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from jobd.contract.version import VERSION

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git knows or would, so that nothing in the checkout is written to; and from
    the archive of its source, as whoever packages it would.
    """
    source = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", out)
    run(*build, cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment in which the wheel and its dependencies are, and nothing else."""
    directory = tmp_path_factory.mktemp("venv")
    venv.create(directory, symlinks=True, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("__editable__", "jobd", "jobctl", "__pycache__")):
            os.symlink(entry, packages / entry.name)
    python = directory / "bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=directory)
    return directory / "bin"


def test_the_wheel_carries_the_schema_and_the_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    schema = {str(file.relative_to(ROOT)) for file in (ROOT / "jobd/store/schema").glob("*.sql")}
    assert schema
    others = {"jobd/py.typed", "jobctl/py.typed", "jobctl/render/report.html.jinja"}
    assert schema | others <= names


def test_the_wheel_carries_the_packages_alone(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    whole = f"jobctl-{VERSION}"
    assert tops == {"jobd", "jobctl", f"{whole}.data", f"{whole}.dist-info"}
    data = [name for name in zipfile.ZipFile(wheel).namelist() if ".data/" in name]
    assert all("/data/share/man/man" in name for name in data)


@pytest.mark.parametrize("program", ["jobd", "jobctl"])
def test_it_runs_outside_the_checkout(program: str, installed: Path, tmp_path: Path) -> None:
    assert "Usage:" in run(installed / program, "--help", cwd=tmp_path)
    assert VERSION in run(installed / program, "--version", cwd=tmp_path)


def test_it_is_the_installed_one_that_runs(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import jobd; print(jobd.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_the_manual_is_installed_where_man_looks_for_it(installed: Path) -> None:
    """man(1) looks beside the directories of PATH."""
    manual = installed.parent / "share/man"
    assert {"jobctl.1", "jobctl-submit.1", "jobd.1", "jobd-start.1"} <= names(manual / "man1")
    assert "jobctl-manifest.7" in names(manual / "man7")


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def test_whoever_builds_needs_no_more_than_whoever_runs() -> None:
    """Of our libraries the build has those that the help stands on."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ours = {name_of(line) for line in setup["options"]["install_requires"].split("\n") if line}
    assert {name_of(line) for line in build} - {"setuptools"} < ours


def name_of(requirement: str) -> str:
    return requirement.split(maxsplit=1)[0]


@pytest.mark.e2e
def test_a_job_runs(installed: Path, tmp_path: Path) -> None:
    run(installed / "jobd", "start", cwd=tmp_path)
    try:
        assert run(installed / "jobctl", "submit", "-w", "echo hello", cwd=tmp_path) == "hello\n"
    finally:
        run(installed / "jobd", "stop", "--now", cwd=tmp_path)
