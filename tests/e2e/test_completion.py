"""TAB in the real shells: what they propose, and what they make of a line."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.instance import PATIENCE, Terminal, take_terminal
from tests.helpers import wait_until

pytestmark = pytest.mark.local("TAB asks the queue alone")

SHELLS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
READY = {
    "bash": 'eval "$(jobctl completion bash)"; eval "$(jobd completion bash)"',
    "zsh": "autoload -U compinit; compinit -u -D;"
    ' eval "$(jobctl completion zsh)"; eval "$(jobd completion zsh)"',
    "fish": "jobctl completion fish | source; jobd completion fish | source",
}
TAB, HOME, KILL = "\t", "\x01", "\x15"


@pytest.fixture(scope="module")
def shells():
    """Why one that is missing could not be installed."""
    if all(shutil.which(name) for name in SHELLS):
        return ""
    script = Path(__file__).parent / "install-shells"
    return subprocess.run([script], capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture(params=SHELLS)
def shell(request, shells, running):
    """One in which completion is set up, before a queue with something in it."""
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(shells)
    running.jobctl("groups", "add", "gpu", "--workers", "1")
    running.jobctl("submit", "-n", "lr3", "-t", "nightly", "-g", "gpu", "sleep", "1000")
    running.jobctl("submit", "-n", "eval", "--after", "1", "true")
    running.jobctl("submit", "-w", "false", code=1)
    found = Shell(running, path, SHELLS[request.param])
    found.directory = running.work
    found.answer(READY[request.param] + "; echo now rea''dy", "now ready")
    yield found
    found.leave()
    running.jobctl("stop", "--all")


class Shell:
    """A shell on a terminal, and somebody who types."""

    def __init__(self, instance, path, options):
        self._leader, follower = pty.openpty()
        env = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PS1": "$ ", "PROMPT": "$ "}
        self._process = instance.begin(
            path, *options, env=env, stdin=follower, stdout=follower, stderr=follower,
            start_new_session=True, preexec_fn=take_terminal,  # no threads there
        )  # fmt: skip
        os.close(follower)
        self.shown = b""
        threading.Thread(target=Terminal._read, args=[self, self._leader], daemon=True).start()

    def type(self, text):
        os.write(self._leader, text.encode())

    def answer(self, line, expected):
        """Run a line; what it prints, from a word on that does not stand in the line."""
        before = len(self.shown)
        self.type(f"{line}\n")
        return self._wait_for(re.escape(expected) + r"([^\r\n]*)", before)[1]

    def completed(self, typed):
        """The line that TAB makes of what was typed."""
        return self.answer(f"{typed}{TAB}{HOME}echo EN''D:", "END:").rstrip()

    def proposed(self, typed, expected):
        """Press TAB twice, and wait until a pattern has been shown."""
        before = len(self.shown)
        self.type(typed + TAB + TAB)
        self._wait_for(expected, before)
        self.type(KILL)

    def _wait_for(self, pattern, before):
        def found():
            return re.search(pattern, self._text(before))

        with contextlib.suppress(AssertionError):
            wait_until(found, PATIENCE)
        assert found(), self._text(before)
        return found()

    def _text(self, before):
        plain = re.sub(
            rb"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()=>].?)", b"", self.shown[before:]
        )
        return plain.decode(errors="replace")

    def leave(self):
        self.type(f"{KILL}exit\n")
        self._process.wait(PATIENCE)


def test_tab_runs_nothing_that_only_has_our_name(shell):
    theirs = shell.directory / "jobctl"
    theirs.write_text("#!/bin/sh\ntouch ran\n")
    theirs.chmod(0o755)
    shell.proposed("./jobctl stop ", "running, lr3|jobctl stop ")
    assert shell.completed("./jobctl ls --sta").startswith("./jobctl ls --sta")
    assert not (shell.directory / "ran").exists()


def test_tab(shell):
    assert shell.completed("jobctl ls --sta") == "jobctl ls --state"
    assert shell.completed("jobctl ls --state run") == "jobctl ls --state running"
    assert shell.completed("jobctl ls --state=failed,run") == "jobctl ls --state=failed,running"
    assert shell.completed("jobctl ls --group g") == "jobctl ls --group gpu"
    assert shell.completed("jobctl ls --tag ni") == "jobctl ls --tag nightly"
    assert shell.completed("jobctl ls --columns id,progress_m") == (
        "jobctl ls --columns id,progress_message"
    )
    assert shell.completed("jobctl restart 3") == "jobctl restart 3"
    assert shell.completed("jobctl comple") == "jobctl completion"
    assert shell.completed("jobd sta").startswith("jobd sta")
    assert shell.completed("jobd start --epheme") == "jobd start --ephemeral"
    shell.proposed("jobctl stop ", r"1\b.*running, lr3(.|\n|\r)*2\b.*pending, eval")
    shell.proposed("jobctl logs ", r"3\b.*failed, false")
