import os

import pytest

from jobctl.submission import manifest
from jobctl.submission.environment import directory, input_file, working_directory
from jobd.contract.errors import BadRequest
from tests.jobctl.fakes import jobctl

OURS = [
    "/dev/stdin", "/dev/fd/0", "/dev/fd/63", "/proc/self/fd/0", "/proc/thread-self/fd/0",
    "/dev/../dev/./stdin", "//dev/stdin", "/dev/tty",
]  # fmt: skip


@pytest.mark.parametrize("path", OURS)
def test_what_is_another_file_to_each_process_is_no_input(path):
    with pytest.raises(ValueError, match="name the file itself"):
        input_file(path)
    result = jobctl("submit", "--stdin", path, "cat")
    assert result.code == 2
    assert "name the file itself" in result.stderr
    text = f"[jobs.a]\ncommand = 'cat'\nstdin = '{path}'"
    with pytest.raises(BadRequest, match=r"line 3: job a: stdin: .* name the file itself"):
        manifest.parse(text.encode(), "m.toml", b"/")


def test_by_our_own_number_too():
    with pytest.raises(ValueError, match="name the file itself"):
        input_file(f"/proc/{os.getpid()}/fd/0")


@pytest.mark.parametrize("way", ["link", "of it", "relative"])
def test_a_link_that_leads_there_too(way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").symlink_to("/dev/stdin" if way != "of it" else "two")
    (tmp_path / "two").symlink_to("/proc/self/fd/0")
    with pytest.raises(ValueError, match="name the file itself"):
        input_file("one" if way == "relative" else str(tmp_path / "one"))


def test_all_else_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in ("/dev/null", "/dev/zero", "/proc/1/status", "/no/such"):
        assert input_file(path) == os.fsencode(path)
    for name in ("circle", "link", "none"):
        assert input_file(name) == os.fsencode(tmp_path / name)


@pytest.mark.parametrize("named", ["/proc/self/cwd", "/proc/thread-self/cwd"])
def test_a_directory_of_this_process_is_named_for_all(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = os.fsencode(tmp_path.resolve())
    assert directory({b"PWD": named.encode()}) == real
    assert working_directory({}, named) == real
    text = f"[jobs.a]\ncommand = 'pwd'\ncwd = '{named}'"
    (node,) = manifest.parse(text.encode(), "m.toml", b"/").nodes
    assert node.cwd == real
