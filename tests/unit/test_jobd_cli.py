import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from jobd.cli import MEANT, main
from jobd.contract.meant import closest, no_option


def jobd(*args):
    return CliRunner().invoke(main, list(args))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["kill"], "jobd: no command 'kill'; did you mean: jobd stop --now\n"),
        (["stauts"], "jobd: no command 'stauts'; did you mean: jobd status\n"),
        (["submit", "x"], "jobd: no command 'submit'; did you mean: jobctl submit\n"),
        (["xyzzy"], "jobd: no command 'xyzzy'; see: jobd --help\n"),
        (["stop", "--noww"], "jobd: no option --noww; did you mean: --now\n"),
        (["--nope"], "jobd: no option --nope\n"),
        (["stop", "--timeout", "soon"], "jobd: --timeout: 'soon' is no duration"),
    ],
)
def test_wrong_usage_is_told_what_was_meant(args, said):
    result = jobd(*args)
    assert result.exit_code == 2
    assert result.output.startswith(said)


def test_every_command_has_an_example():
    assert isinstance(main, click.Group)
    for name in main.commands:
        text = jobd(name, "--help").output
        assert re.search(rf"Example:\n.*jobd {name}", text), name


@pytest.mark.parametrize("args", [["status"], ["status", "--json"], ["start", "--help"]])
def test_output_that_cannot_be_written_is_one_line(args, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from jobd.cli import main; main()", *args],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={"JOBD_HOME": str(tmp_path)},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "jobd: cannot write: No space left on device\n")


def test_what_is_meant_exists():
    from jobctl.cli import COMMANDS  # the other program's

    for meant in MEANT.values():
        program, name, *_ = meant.split()
        assert name in (main.commands if program == "jobd" else COMMANDS)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("--prio", "--priority"), ("--pri", "--priority"), ("--tiem", "--time"), ("--zzz", None)],
)
def test_closest(word, meant):
    assert closest(word, ["--priority", "--time", "--progress"]) == meant


def test_short_options_are_not_proposed():
    assert no_option("-x", ["-y", "--yes"]) == "no option -x"
