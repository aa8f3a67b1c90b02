"""What a real viewer sees of a real owner's jobs, and that looking holds nothing up."""

import json
import os
import subprocess

import pytest

from tests.e2e.engine_of_run import configured, of_cluster
from tests.e2e.instance import Instance
from tests.helpers import connections_at, wait_until
from tests.users import BIN, PATIENCE, needs_users

pytestmark = [pytest.mark.e2e, needs_users]
HIDDEN = ("hidden-scripts", "hidden-input", "hidden-line", "hidden-value")
"""Parts of paths and contents that are the owner's alone."""
LOOKS = (
    ["ls"], ["ls", "--json"], ["ls", "--format", "csv"], ["show", "1"], ["show", "1", "--json"],
    ["show", "2"], ["show", "2", "--json"], ["logs", "1"], ["logs", "2"], ["logs", "1", "--path"],
    ["events"], ["events", "--json"], ["wait", "1"], ["wait", "2", "--json"],
    ["wait", "1-2"], ["watch"], ["watch", "--json"], ["status"], ["status", "--json"],
    ["groups", "--json"], ["workers", "--json"],
)  # fmt: skip


class Shared:
    """An instance of `owner`, into which `viewer` may look."""

    def __init__(self, users, table=""):
        self.owner, self.viewer = users.owner, users.viewer
        self.state = users.owner.home / "jobd"
        self._own = {"JOBD_HOME": str(self.state), **of_cluster()}
        public = users.owner.home / "public"
        self._others = {"JOBD_SOCKET": str(public / "sock")}
        self.owner.run("mkdir", "-m", "700", self.state, code=0)
        self.owner.run("mkdir", "-m", "755", public, code=0)
        config = f'[access]\nsocket = "{public}/sock"\nviewers = ["{self.viewer.name}"]\n{table}'
        self.write(
            self.state / "config.toml", configured(config, Instance.engine, Instance.section)
        )
        self.own("start", program="jobd")

    def write(self, path, content, mode=0o600):
        """As the owner would have."""
        path.write_text(content)
        path.chmod(mode)
        os.chown(path, self.owner.uid, self.owner.gid)
        return path

    def own(self, *words, program="jobctl", code=0, **env):
        return self.owner.run(BIN / program, *words, code=code, env={**self._own, **env}).stdout

    def look(self, *words):
        return self.viewer.jobctl(*words, env=self._others)

    def begin_to_look(self, *words):
        return subprocess.Popen(
            [*self.viewer.command(), BIN / "jobctl", *words], cwd="/",
            env=self.viewer.environment(**self._others), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def connected(self):
        """How many look."""
        return connections_at(self._others["JOBD_SOCKET"])

    def log(self):
        return (self.state / "jobd.log").read_text()

    def close(self):
        self.own("stop", "--now", program="jobd")


@pytest.fixture
def share(users):
    """A function that starts the owner's instance."""
    made = []

    def start(table=""):
        made.append(Shared(users, table))
        return made[-1]

    yield start
    for shared in made:
        shared.close()


@pytest.fixture
def hiding(share):
    """One with a job of a private script, and one with a private input that is not there."""
    shared = share()
    for name in ("hidden-scripts", "hidden-input"):
        shared.owner.run("mkdir", "-m", "700", shared.owner.home / name, code=0)
    script = shared.write(
        shared.owner.home / "hidden-scripts/night.sh",
        "#!/bin/sh\n# hidden-line\necho seen\n",
        0o700,
    )
    where = shared.owner.home / "hidden-input"
    given = shared.write(where / "in", "x")
    shared.own("submit", "--stdin", given, "--script", script, "fast", TOKEN="hidden-value")
    shared.own("wait", "1")
    shared.own("submit", "--stdin", where / "gone", "--", "cat", TOKEN="hidden-value")
    shared.own("wait", "2", code=126)
    return shared


def test_a_viewer_sees_no_script_no_input_and_no_recipe(hiding):
    for words in LOOKS:
        done = hiding.look(*words)
        assert done.returncode == (0 if words[0] != "wait" or words[1] == "1" else
                                   126 if words[1] == "2" else 1), done  # fmt: skip
        for hidden in HIDDEN:
            assert hidden not in done.stdout + done.stderr, words
    assert hiding.look("logs", "1").stdout == "seen\n"
    assert json.loads(hiding.look("show", "1", "--json").stdout)["command"] == "night.sh fast"
    own = hiding.own("show", "1") + hiding.own("show", "2")
    assert {hidden for hidden in HIDDEN if hidden in own} == {"hidden-scripts", "hidden-input"}


def test_a_viewer_cannot_submit_what_somebody_else_did(hiding):
    for words in (["--like", "1"], ["--like", "1", "--priority", "high"], ["--like", "1", "true"]):
        done = hiding.look("submit", *words)
        assert (done.returncode, done.stdout) == (77, "")
        assert "not permitted" in done.stderr
        assert not [hidden for hidden in HIDDEN if hidden in done.stderr]
    assert len(hiding.own("ls", "--ids").split()) == 2
    assert hiding.look("show", "1", "--env").returncode == 77
    assert "may not see environments" in hiding.log()


def test_where_the_owners_files_lie_is_not_in_the_status(hiding):
    status = json.loads(hiding.look("status", "--json").stdout)
    assert (status["socket"], status["database"], status["log"], status["state_dir"]) == ("",) * 4
    assert status["jobs"]["completed"] == 1
    assert json.loads(hiding.own("status", "--json"))["log"] == str(hiding.state / "jobd.log")


def test_a_fault_is_in_the_owners_log_and_not_on_a_viewers_screen(hiding):
    (log,) = hiding.state.glob("**/1.1.log")
    log.unlink()
    done = hiding.look("logs", "1")
    assert done.stderr == "jobctl: the output of job 1 is gone (attempt 1)\n"
    assert done.returncode == 1


def test_a_viewer_who_waits_keeps_no_job(share):
    shared = share("[daemon]\nworkers = 2\n[retention]\nmax_jobs = 1\n")
    shared.own("submit", "--", "sleep", "1000")
    for _ in range(6):
        shared.own("submit", "--hold", "--", "true")
    waiting = shared.begin_to_look("wait", "1-7")
    try:
        wait_until(lambda: shared.connected() == 1, PATIENCE)
        shared.own("start", "2-7")
        wait_until(lambda: shared.own("ls", "--ids").split() == ["1", "7"], PATIENCE)
        assert waiting.poll() is None
    finally:
        shared.own("stop", "1")
        said = waiting.communicate(timeout=PATIENCE)[1]
    assert waiting.returncode == 1
    assert "1 stopped: 1" in said
