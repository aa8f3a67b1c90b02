"""Every option and argument of every command of `jobctl` is given texts that nobody expects.

What there is to try is found in click's own objects: a new option is in it.
"""

import shutil
import tempfile
from pathlib import Path

import click
import pytest

from jobctl.cli import COMMANDS, group
from tests.integration.inside import Inside
from tests.jobctl.fakes import jobctl

SMALLEST = {
    "submit": ["true"],
    "show": ["1"],
    "edit": ["1"],
    "progress": ["40", "--job", "1"],
    "wait": ["--timeout", "0"],
    "groups add": ["g", "--workers", "1"],
    "groups set": ["g", "--workers", "1"],
    "groups rm": ["g"],
}
"""What a command needs beside the option that is tried."""
TEXTS = {
    "no UTF-8": "caf\udce9",
    "NUL": "a\0b",
    "megabyte": "x" * 2**20,
    "megabyte of digits": "9" * 2**20,
    "empty": "",
    "blank": " ",
    "line breaks": "a\n\x1b[2Jb\r",
    "no character": "\uffff",
}
FORESEEN = (0, 1, 2, 77)


def commands_of(command, *path):
    """Each command by its words."""
    yield path, command
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from commands_of(command.get_command(context, name), *path, name)


def takes_text(param):
    return not (isinstance(param, click.Option) and (param.is_flag or param.count))


TRIED = [
    pytest.param(path, param, id=" ".join([*path, param.opts[-1]]))
    for path, command in commands_of(group)
    for param in command.params
    if takes_text(param)
]


def line_of(path, param, text):
    rest = SMALLEST.get(" ".join(path), [])
    if isinstance(param, click.Option):
        return [*path, param.opts[-1], text, *rest]
    return [*path, text] if param.nargs == -1 or len(rest) < 2 else [*path, text, *rest[1:]]


class Daemons:
    """One for a command after the other, with all that its texts have made: a start for each of
    its options would take longer than the rest.
    """

    def __init__(self, base):
        self._base = base
        self._path = self._inside = None

    def of(self, path):
        """That of a command. It starts nothing, and job 1 pends there."""
        if path != self._path:
            self.close()
            self._path, self._inside = path, Inside(self._base / "-".join(path), workers=0)
            self._inside.submit("true")
        assert self._inside.job(1).state == "pending"
        return self._inside

    def close(self):
        if self._inside is not None:
            self._inside.close()
            self._path = self._inside = None


@pytest.fixture(scope="module")
def daemons():
    base = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp"))
    made = Daemons(base)
    yield made
    made.close()
    shutil.rmtree(base)


@pytest.fixture
def there_is_a_job(path, daemons, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # files are made under these names
    inside = daemons.of(path)
    monkeypatch.setenv("JOBD_HOME", str(inside.paths.state))
    return inside


def test_all_commands_are_walked():
    assert {path[0] for path, _ in commands_of(group) if path} == {*COMMANDS}


@pytest.mark.parametrize(("path", "param"), TRIED)
def test_any_text_is_taken_or_told(path, param, there_is_a_job):
    for name, text in TEXTS.items():
        result = jobctl(*line_of(path, param, text), client=there_is_a_job.client, stdin=b"1\n")
        assert "defect" not in result.stderr, (name, result.stderr)
        assert result.code in FORESEEN, (name, result)
        assert len(result.stderr) < 3000, name
        if result.code:
            assert result.stderr.startswith("jobctl: "), (name, result)
