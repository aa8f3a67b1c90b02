"""A new process, its descriptors and its environment, by posix_spawn(3)."""

import os

import pytest

from jobd.system import linux, spawning


@pytest.fixture
def files(tmp_path):
    """Descriptors: of the output, and of the mark, which holds a byte."""
    mark = tmp_path / "mark"
    mark.write_bytes(b"x")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    opened = os.open(tmp_path / "output", flags), os.open(mark, flags)
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def run(line, environment, output, mark):
    with open(os.devnull, "rb") as stdin:
        pid = spawning.spawn(
            b"/bin/sh", [b"sh", b"-c", line], environment, stdin.fileno(), output, mark
        )
    ended = linux.look(pid, block=True)
    linux.reap(pid)
    return ended.exit_code


def test_it_has_its_environment_its_output_and_empties_the_mark(files):
    output, mark = files
    environment = {b"NAME": b"a=b c", b"OTHER": b"\xff"}
    assert run(b'printf "%s|%s" "$NAME" "$OTHER"; exit 7', environment, output, mark) == 7
    assert os.pread(output, 100, 0) == b"a=b c|\xff"
    assert os.fstat(mark).st_size == 0


def test_what_is_done_with_the_same_descriptors_is_laid_down_once(files):
    output, mark = files
    spawning._actions.cache_clear()
    assert [run(b"echo x", {}, output, mark) for _ in range(3)] == [0, 0, 0]
    assert spawning._actions.cache_info().misses == 1
    assert os.pread(output, 100, 0) == b"x\nx\nx\n"
