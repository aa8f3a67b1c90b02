"""Real second users: strangers get nothing, viewers see, admins may do all."""

import grp
import json
import os
import pwd
import shutil
import sqlite3
import stat
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from jobd.contract.wire import REQUESTS
from tests.e2e.instance import BIN, PATIENCE, json_of
from tests.helpers import wait_until

pytestmark = pytest.mark.e2e
STRANGER = "nobody"
SETPRIV = shutil.which("setpriv")
COMMANDS = {
    "submit": ["submit", "true"],
    "ls": ["ls"],
    "show": ["show", "1"],
    "logs": ["logs", "1"],
    "watch": ["watch"],
    "wait": ["wait", "1"],
    "events": ["events"],
    "history": ["history"],
    "status": ["status"],
    "start": ["start", "1"],
    "hold": ["hold", "1"],
    "stop": ["stop", "1"],
    "restart": ["restart", "1"],
    "rm": ["rm", "1"],
    "pause": ["pause", "1"],
    "resume": ["resume", "1"],
    "edit": ["edit", "1", "--priority", "high"],
    "progress": ["progress", "40", "--job", "1"],
    "workers": ["workers", "2"],
    "groups": ["groups"],
    "notify": ["notify", "--test"],
    "notifications": ["notifications"],
}
SEEING = (
    "ls", "show", "logs", "watch", "wait", "events", "history", "status", "groups", "notifications",
)  # fmt: skip
OF_JOBD = {"shutdown", "renew", "forget", "metrics", "configuration", "reload"}
"""Requests of the command `jobd`, which is the owner's own."""


def _may_run_as(user):
    if os.geteuid() != 0 or SETPRIV is None:
        return False
    command = [*_as(user), BIN / "jobctl", "--version"]
    probe = subprocess.run(command, check=False, capture_output=True, cwd="/")
    return probe.returncode == 0


def _as(user, *groups):
    entry = pwd.getpwnam(user)
    numbers = ",".join(str(grp.getgrnam(group).gr_gid) for group in groups)
    supplementary = ["--groups", numbers] if groups else ["--clear-groups"]
    return [SETPRIV, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", *supplementary, "--"]


needs_users = pytest.mark.skipif(
    not _may_run_as(STRANGER),
    reason="only root can become another user, who must be able to read this checkout",
)


@pytest.fixture
def public():
    """A directory that everybody can reach."""
    directory = Path(tempfile.mkdtemp(prefix="js-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


class Other:
    """Another user of the same instance."""

    def __init__(self, instance, socket, *groups):
        self._environment = {
            **instance.env, "HOME": "/nonexistent", "JOBD_SOCKET": str(socket),
        }  # fmt: skip
        del self._environment["JOBD_HOME"]
        self._groups = groups

    def jobctl(self, *args, code):
        done = subprocess.run(
            [*_as(STRANGER, *self._groups), BIN / "jobctl", *args],
            env=self._environment, cwd="/", capture_output=True, text=True, timeout=PATIENCE,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, (args, done)
        return done


def start(instance, public, **access):
    """With one job, that has ended."""
    lines = ["[access]", f"socket = {json.dumps(str(public / 'sock'))}"]
    lines += [f"{key} = {json.dumps(names)}" for key, names in access.items()]
    instance.configure("\n".join(lines))
    instance.start()
    instance.submit("echo seen")
    instance.wait(1)


@needs_users
@pytest.mark.parametrize("through", ["own", "shared"])
def test_a_stranger_gets_nothing(instance, public, through):
    start(instance, public, viewers=["daemon"])
    socket = instance.paths.socket if through == "own" else public / "sock"
    stranger = Other(instance, socket)
    # All of them meet the same door; at the second one a few will do.
    commands = list(COMMANDS.values())[: None if through == "own" else 4]
    for command in commands:
        done = stranger.jobctl(*command, code=77)
        assert done.stdout == ""
        assert "seen" not in done.stderr
        assert "not permitted" in done.stderr
    assert instance.job(1).state == "completed"

    def refusals():
        return instance.paths.log.read_text().count(f"user {STRANGER} was refused")

    if through == "shared":
        wait_until(lambda: refusals() >= len(commands))
    else:
        assert not refusals()


@needs_users
@pytest.mark.parametrize("command", ["check", "log", "backup", "status", "stop", "restart"])
def test_what_jobd_itself_tells_is_no_strangers_business(instance, public, command):
    """It reads the files without the daemon, and the kernel says no."""
    start(instance, public)
    public.chmod(0o777)
    words = [command, str(public / "copy")] if command == "backup" else [command]
    done = subprocess.run(
        [*_as(STRANGER), BIN / "jobd", *words],
        env={**instance.env, "HOME": "/nonexistent"}, cwd="/", capture_output=True, text=True,
        timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 77, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert str(instance.paths.state) in done.stderr
    assert not (public / "copy").exists()
    assert instance.status().jobs["completed"] == 1


@needs_users
@pytest.mark.parametrize("how", ["user", "group"])
def test_a_viewer_sees_and_does_nothing(instance, public, how):
    start(instance, public, viewers=[STRANGER if how == "user" else "@games"])
    viewer = Other(instance, public / "sock", *(() if how == "user" else ("games",)))
    assert "echo seen" in viewer.jobctl("ls", code=0).stdout
    assert viewer.jobctl("logs", "1", code=0).stdout == "seen\n"
    some = (
        COMMANDS if how == "user" else {name: COMMANDS[name] for name in ("wait", "stop", "edit")}
    )
    for name, command in some.items():
        done = viewer.jobctl(*command, code=0 if name in SEEING else 77)
        assert name in SEEING or "not permitted" in done.stderr
    assert viewer.jobctl("workers", code=0).stdout == "3 workers, 0 busy\n"
    refused = viewer.jobctl("show", "--env", "1", code=77)
    assert "environments" in refused.stderr
    assert refused.stdout == ""
    assert instance.status().jobs["completed"] == 1
    log = instance.paths.log.read_text()
    assert f"{STRANGER} is a viewer here, and may not change anything (stop)" in log


@needs_users
def test_an_admin_may_do_all_and_is_named_in_the_history(instance, public):
    start(instance, public, admins=[STRANGER])
    admin = Other(instance, public / "sock")
    assert admin.jobctl("submit", "-w", "id -un", code=0).stdout == "root\n"
    found = json_of(instance.jobctl("show", "2", "--json"))
    assert found["user"] == STRANGER
    admin.jobctl("rm", "1", code=0)
    events = [json.loads(line) for line in instance.jobctl("events", "--json").stdout.splitlines()]
    assert [e["user"] for e in events if e["event"] == "removed"] == [STRANGER]
    assert json_of(instance.jobd("status", "--json"))["access_socket"] == str(public / "sock")


def test_every_request_is_somebodys(instance):
    """A request that comes anew has to be thought of here, too."""
    known = {"list", "output", "graph"} | OF_JOBD | set(COMMANDS)
    assert set(REQUESTS) <= known | {"show"}


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('socket = "/tmp/x"\nviewers = ["no-such-user"]', "there is no user 'no-such-user'"),
        ('socket = "/tmp/x"\nadmins = ["@no-such-group"]', "there is no group 'no-such-group'"),
        ('viewers = ["root"]', "others need a socket"),
        ('socket = "relative"', "an absolute path is needed"),
        ("sockets = 1", "[access] has no key sockets"),
    ],
)
def test_a_table_that_cannot_be_meant_stops_the_start(instance, table, complaint):
    instance.paths.state.mkdir(mode=0o700)
    instance.paths.config.write_text(f"[access]\n{table}\n")
    done = instance.jobd("start", code=1)
    assert complaint in done.stderr
    assert str(instance.paths.config) in done.stderr


def test_a_state_directory_of_another_host_is_left_alone(instance):
    instance.start()
    instance.submit("true")
    instance.jobd("stop")
    with closing(sqlite3.connect(instance.paths.database)) as database, database:
        database.execute("UPDATE settings SET value = '0123 elsewhere' WHERE name = 'host'")
    assert "was last used by another host, elsewhere" in instance.jobd("start", code=1).stderr
    instance.configure("[daemon]\nstate_is_private = true\n")
    instance.start()
    assert instance.job(1).id == 1


def test_what_lies_in_the_way_of_the_socket_stays(instance, public):
    wanted = public / "sock"
    instance.configure(f"[access]\nsocket = {json.dumps(str(wanted))}\n")
    wanted.write_text("precious")
    assert "something else lies there" in instance.jobd("start", code=1).stderr
    assert wanted.read_text() == "precious"
    wanted.unlink()
    instance.start()
    assert stat.S_IMODE(wanted.stat().st_mode) == 0o666
    instance.kill(instance.status().pid)
    assert instance.answers().running
    instance.jobd("stop")
    assert not wanted.exists()


def test_nothing_of_ours_is_open_to_others(instance):
    """Whatever the umask of the shell, the daemon or a job."""
    instance.configure()
    before = os.umask(0)
    try:
        instance.start()
        instance.jobctl("submit", "-w", "umask 0; echo 1 > $JOBD_PROGRESS; echo x")
    finally:
        os.umask(before)
    for folder, _, files in os.walk(instance.paths.state):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in files:
            mode = stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode)
            assert mode == 0o600, (name, oct(mode))
