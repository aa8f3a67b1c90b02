"""The wheel is whole: what it installs works outside the checkout, in an empty environment.

Nothing is fetched: the build uses the setuptools that is there, and the empty environment sees
our dependencies (not the project itself) through links to where they are installed.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from jobd.contract.distribution import DISTRIBUTION
from jobd.contract.version import VERSION

ROOT = Path(__file__).parents[1]
BEFORE = "jobctl"
"""What the distribution was called once; the name is another project's on PyPI."""
HISTORY = {"CHANGELOG.md", "docs/how-to/upgrade.md", "tests/test_packaging.py"}
"""Files that may still speak of it."""
GONE = "jobd/gone.py"
"""A module that an earlier build has left, and that is no longer there."""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows or would, so that nothing in the checkout is written to."""
    directory = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes((ROOT / name).read_bytes())
    gone = directory / "build/lib" / GONE
    gone.parent.mkdir(parents=True)
    gone.write_text("")
    return directory


def build(source: Path, out: Path, *options: str) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", out, cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From the archive of the source, as whoever packages it would build it."""
    return build(source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel_before(wheel: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it was before the distribution was renamed; from the source itself, as pip builds it."""
    setup = source / "setup.cfg"
    setup.write_text(setup.read_text().replace(f"name = {DISTRIBUTION}\n", f"name = {BEFORE}\n"))
    return build(source, tmp_path_factory.mktemp("before"), "--wheel")


class Environment:
    """One in which our dependencies are; the project is not."""

    def __init__(self, directory: Path) -> None:
        venv.create(directory, symlinks=True, with_pip=False)
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if not entry.name.startswith(("__editable__", "jobd", "jobctl", "__pycache__")):
                os.symlink(entry, packages / entry.name)
        self.directory = directory
        self.bin = directory / "bin"

    def pip(self, *words: str | Path) -> None:
        run(sys.executable, "-m", "pip", "--python", self.bin / "python", "--quiet", *words,
            cwd=self.directory)  # fmt: skip

    def install(self, wheel: Path, *options: str) -> None:
        self.pip("install", "--no-deps", "--no-index", *options, wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment in which the wheel and its dependencies are, and nothing else."""
    environment = Environment(tmp_path_factory.mktemp("venv"))
    environment.install(wheel)
    return environment.bin


def test_the_wheel_carries_the_schema_and_the_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    schema = {str(file.relative_to(ROOT)) for file in (ROOT / "jobd/store/schema").glob("*.sql")}
    assert schema
    others = {"jobd/py.typed", "jobctl/py.typed"}
    others |= {"jobctl/render/report.html.jinja", "jobctl/tui/top.tcss"}
    assert schema | others <= names


def test_the_wheel_carries_the_packages_alone(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    whole = f"{DISTRIBUTION.replace('-', '_')}-{VERSION}"
    assert tops == {"jobd", "jobctl", f"{whole}.data", f"{whole}.dist-info"}
    data = [name for name in zipfile.ZipFile(wheel).namelist() if ".data/" in name]
    assert all("/data/share/man/man" in name for name in data)


def test_what_an_earlier_build_has_left_is_in_no_wheel(wheel_before: Path) -> None:
    assert GONE not in zipfile.ZipFile(wheel_before).namelist()


def test_the_archive_of_the_source_has_what_the_wheel_is_made_from(wheel: Path) -> None:
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        tops = {Path(name).parts[1] for name in opened.getnames() if len(Path(name).parts) > 2}
    assert tops == {"jobd", "jobctl", "jobctl_queue.egg-info", "manual"}


def test_it_runs_with_the_oldest_click_that_is_allowed(tmp_path: Path) -> None:
    """There a type of a parameter is not generic (it is from 8.4 on)."""
    code = "import click; click.ParamType.__class_getitem__ = None; from jobctl.cli import main; "
    run(sys.executable, "-c", f"{code} main()", "submit", "--help", cwd=tmp_path)


def test_what_an_index_shows_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    archive = wheel.with_name(wheel.name.partition("-py3")[0] + ".tar.gz")
    with tarfile.open(archive) as packed:
        info = packed.extractfile(f"{archive.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert info is not None
        described = [info.read().decode()]
    with zipfile.ZipFile(wheel) as packed_wheel:
        (name,) = [name for name in packed_wheel.namelist() if name.endswith("/METADATA")]
        described.append(packed_wheel.read(name).decode())
    for text in described:
        assert "\nDescription-Content-Type: text/markdown\n" in text
        assert "first job" in text or "jobctl submit" in text
        assert [link for link in re.findall(r"\]\(([^)]*)\)", text) if "://" not in link] == []


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


def test_what_is_to_be_typed_names_the_distribution() -> None:
    """In code, messages and documents; how it was once called is nothing to install."""
    wrong = re.compile(rf"(?:pipx? |uv tool )[a-z -]*'?{BEFORE}(?!-queue)\b|{BEFORE}\[\w+\]")
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if name.endswith((".py", ".md", ".cfg", ".toml")) and name not in HISTORY:
            found = wrong.search((ROOT / name).read_text("utf-8"))
            assert found is None, f"{name}: {found and found[0]}"


@pytest.mark.e2e
def test_jobs_run_on_while_the_distribution_of_another_name_takes_its_place(
    wheel: Path, wheel_before: Path, tmp_path: Path
) -> None:
    """As the page about upgrades says: the old one goes first."""
    environment = Environment(tmp_path / "venv")
    environment.install(wheel_before)
    run(environment.bin / "jobd", "start", cwd=tmp_path)
    try:
        os.mkfifo(tmp_path / "gate")
        run(environment.bin / "jobctl", "submit", "read _ < gate; exit 7", cwd=tmp_path)
        environment.pip("uninstall", "--yes", BEFORE)
        environment.install(wheel)
        assert "1 job running on" in run(environment.bin / "jobd", "restart", cwd=tmp_path)
        (tmp_path / "gate").write_text("\n")
        waited = subprocess.run([environment.bin / "jobctl", "wait", "1"], check=False)
        assert waited.returncode == 7
    finally:
        run(environment.bin / "jobd", "stop", "--now", cwd=tmp_path)


def test_one_that_was_removed_too_late_is_mended(
    wheel: Path, wheel_before: Path, tmp_path: Path
) -> None:
    """Both own the same files: whichever goes takes them along, and pip does not see it."""
    environment = Environment(tmp_path / "venv")
    environment.install(wheel_before)
    environment.install(wheel)
    environment.pip("uninstall", "--yes", BEFORE)
    assert not (environment.bin / "jobctl").exists()
    environment.install(wheel, "--force-reinstall")
    assert VERSION in run(environment.bin / "jobctl", "--version", cwd=tmp_path)
