"""What each command imports: most of its time goes there, and nothing may creep in."""

import os
import subprocess
import sys

import pytest

COUNTED = """
import sys
sys.argv = {argv}
from jobctl.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
LEAST = "import click, msgspec, pathlib, rpyc, socket, sys; print(*sys.modules)"
SMALL = {
    "_locale",
    "_struct",
    "encodings.ascii",
    "fcntl",
    "gc",
    "grp",
    "locale",
    "pwd",
    "signal",
    "struct",
}
"""Of the standard library, beside what comes with click, msgspec and rpyc."""
SPARED = {"rpyc", "ssl", "typing_extensions"}
"""What these libraries do without: see `jobctl.lean`."""
ALWAYS = {
    "jobctl",
    "jobctl.cli",
    "jobctl.context",
    "jobctl.examples",
    "jobctl.lean",
    "jobctl.render",
    "jobctl.render.streams",
    "jobd",
    "jobd.contract",
    "jobd.contract.errors",
    "jobd.contract.inherited",
    "jobd.contract.version",
    "jobd.contract.wording",
}
PARSING = {
    "jobctl.commands",
    "jobctl.parsing",
    "jobctl.parsing.param_types",
    "jobctl.parsing.texts",
    "jobd.contract.destinations",
    "jobd.contract.durations",
    "jobd.contract.models",
    "jobd.contract.ranges",
    "jobd.contract.states",
}
SHOWING = {
    "jobctl.render.data",
    "jobctl.render.notices",
    "jobctl.render.text",
    "jobctl.render.words",
}
ASKING = {
    "jobd.client",
    "jobd.client.address",
    "jobd.client.client",
    "jobd.client.connection",
    "jobd.client.stalls",
    "jobd.contract.frames",
    "jobd.contract.ownership",
    "jobd.contract.paths",
    "jobd.contract.peers",
    "jobd.contract.wire",
}
SELECTING = {
    "jobctl.parsing.selector_options",
    "jobctl.parsing.times",
    "jobd.client.follow",
    "jobd.contract.id_set",
}
SUBMITTING = {
    "jobctl.commands.submit",
    "jobctl.parsing.times",
    "jobctl.submission",
    "jobctl.submission.environment",
    "jobctl.submission.job_options",
    "jobctl.submission.request",
    "jobd.contract.ownership",
    "jobd.contract.paths",
    "jobd.contract.peers",
    "jobd.contract.sizes",
    "jobd.contract.text_file",
}
WRONG = {"jobctl.parsing", "jobctl.parsing.hint_lines", "jobctl.parsing.hints", "jobctl.usage"}
WRONG_OPTION = {"jobctl.parsing.option_hints", "jobctl.parsing.slurm", "jobctl.usage"}


def imported(code, home=None):
    """The modules that this program says it has imported on its last line."""
    environ = os.environ if home is None else {**os.environ, "JOBD_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    return set((done.stdout if home is None else done.stderr).splitlines()[-1].split())


def tops(names):
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("submit true", PARSING | SHOWING | ASKING | SUBMITTING),
        (
            "show 1",
            PARSING | SHOWING | ASKING
            | {
                "jobctl.commands.show",
                "jobctl.render.live",
                "jobctl.render.sheet",
                "jobd.contract.sizes",
            },
        ),
        (
            "wait 1",
            PARSING | SHOWING | ASKING | SELECTING
            | {
                "jobctl.actions",
                "jobctl.actions.exit_codes",
                "jobctl.commands.wait",
                "jobctl.render.verdicts",
                "jobd.contract.exit_codes",
                "jobd.contract.signals",
            },
        ),
        (
            "ls --ids",
            PARSING | SHOWING | ASKING | SELECTING
            | {
                "jobctl.actions",
                "jobctl.actions.listed",
                "jobctl.commands.ls",
                "jobctl.parsing.columns",
                "jobctl.render.aligned",
                "jobctl.render.fitting",
                "jobctl.render.table",
            },
        ),
        ("nonsense", WRONG),
        ("submit --nonsense", PARSING | SHOWING | SUBMITTING | WRONG_OPTION),
        ("--version", set()),
    ],
)  # fmt: skip
def test_a_command_imports_what_it_needs(daemon, jobd_home, command, ours):
    """Of others' nothing but click, msgspec and, to ask, rpyc; of ours these very modules."""
    daemon.wait(daemon.submit("true"))
    found = imported(COUNTED.format(argv=["jobctl", *command.split()]), jobd_home)
    project = {name for name in found if name.startswith(("jobd", "jobctl"))}
    assert project ^ (ALWAYS | ours) == set()
    assert ("rpyc.core" in found) == ("jobd.client" in project)
    assert not found & SPARED
    if "nonsense" not in command:  # which may take whatever looks for a word that is like it
        assert found - project - imported(LEAST) <= SMALL


def test_a_table_takes_no_library(daemon, jobd_home):
    daemon.wait(daemon.submit("true"))
    found = imported(COUNTED.format(argv=["jobctl", "ls"]), jobd_home)
    others = tops(found - imported(LEAST)) - sys.stdlib_module_names - {"jobd", "jobctl"}
    assert others == set()
