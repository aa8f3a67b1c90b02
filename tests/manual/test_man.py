"""man(1) and mandoc(1) read the pages, and have nothing to say about them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from manual.backend import write_pages


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, and programs that read them."""
    script = Path(__file__).parent / "install-man"
    done = subprocess.run([script], capture_output=True, text=True, check=False, timeout=280)
    if done.returncode:
        pytest.skip(done.stdout.strip())
    directory = tmp_path_factory.mktemp("man")
    write_pages(directory)
    return directory


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANROFFOPT": ""}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )


def test_mandoc_finds_nothing(manual: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", *sorted(manual.glob("man*/*"))],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")


def test_whoever_builds_it_needs_click_and_msgspec_alone(tmp_path: Path) -> None:
    """Those are there where a wheel is built; all other libraries are for those who run it."""
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] not in known:
            raise ModuleNotFoundError(f'no module named {name}', name=name)
known = {*sys.stdlib_module_names, 'click', 'msgspec', 'typing_extensions',
         'jobctl', 'jobd', 'manual'}
sys.meta_path.insert(0, Missing())
from manual.roff import files
print(len(list(files('2026-11-26'))))
"""
    made = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert int(made.stdout) > 50


@pytest.mark.parametrize(
    "name", ["man1/jobctl.1", "man1/jobctl-submit.1", "man1/jobd-start.1", "man7/jobctl-manifest.7"]
)
def test_man_shows_it_without_a_warning(name: str, manual: Path) -> None:
    done = run("man", "--warnings=w", "-l", manual / name)
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_what_is_shown_can_be_pasted_into_a_shell(manual: Path) -> None:
    shown = run("man", "-l", manual / "man1/jobctl-submit.1").stdout
    assert "jobctl submit --array 1-10 'train --fold $JOBD_ARRAY_INDEX'" in shown
    assert "       -p, --priority P\n" in shown
    assert "\nSEE ALSO\n       jobctl(1), jobd(1), jobctl-manifest(7)," in shown


def test_it_is_found_by_what_it_does(manual: Path) -> None:
    assert "put a command into the queue" in run("lexgrog", manual / "man1/jobctl-submit.1").stdout


def test_a_build_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    write_pages(tmp_path / "one")
    assert '.TH JOBCTL 1 2027-01-15 "' in (tmp_path / "one/man1/jobctl.1").read_text()
