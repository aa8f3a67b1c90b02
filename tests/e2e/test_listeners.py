"""Real second users: jobctl knows who listens before it sends a byte, and waits for no stranger."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.e2e.engine_of_run import at_the_door
from tests.helpers import connections_at, wait_until
from tests.users import BIN, PATIENCE, needs_users

pytestmark = [pytest.mark.e2e, needs_users, at_the_door]

FAKE = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listener.listen()
print("ready", flush=True)
while True:
    sock, _ = listener.accept()
    sock.settimeout(1)
    try:
        print(len(sock.recv(1 << 16)), flush=True)
    except TimeoutError:
        print("silent", flush=True)
    sock.close()
"""
"""A daemon of nobody's wish: it tells how much each client sent it first."""
HELD = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()
"""
KNOCKING = """
import socket, sys
for _ in range(300):
    with socket.socket(socket.AF_UNIX) as knock:
        knock.connect(sys.argv[1])
        knock.recv(1)
"""
AT_ONCE = 9.0
"""Seconds for a command on a busy machine; it waited 10 and more for what it took for a restart."""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--"]


def _why_no_namespaces(user):
    if shutil.which("unshare") is None:
        return "unshare is needed"
    done = user.run(*NAMESPACE, "true")
    return "" if done.returncode == 0 else f"no user namespaces here: {done.stderr.strip()}"


@contextlib.contextmanager
def runs(user, script, *args):
    """A script of this user's, from when it is ready; what it says."""
    process = subprocess.Popen(
        [*user.command(), sys.executable, "-c", script, *map(str, args)],
        env=user.environment(), cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(fake, clients=1):
    """What each of so many clients sent; the fake ends with it."""
    said, stdout = b"", fake.stdout.fileno()
    # It may not have got round to the last of them yet.
    while said.count(b"\n") < clients and select.select([stdout], [], [], PATIENCE)[0]:
        said += os.read(stdout, 4096)
    fake.kill()
    return (said.decode() + fake.communicate()[0]).split()


@pytest.fixture
def place():
    """A function that makes a directory: its owner and mode."""
    base = Path(tempfile.mkdtemp(prefix="jl-", dir="/tmp"))
    base.chmod(0o755)
    made = []

    def make(owner, mode, group=None, beneath=base):
        directory = beneath / f"d{len(made)}"
        directory.mkdir()
        os.chown(directory, owner.uid, owner.gid if group is None else group)
        directory.chmod(mode)
        made.append(directory)
        return directory

    yield make
    shutil.rmtree(base)


@pytest.fixture
def daemon(users, place):
    """A function that starts the owner's daemon with a socket for others; the path of that."""
    owner = users.owner
    started = []

    def start(directory=None):
        path = (directory or place(owner, 0o755)) / "sock"
        config = owner.home / ".config/jobd/config.toml"
        access = f"socket = {json.dumps(str(path))}\nviewers = [{json.dumps(users.viewer.name)}]"
        owner.run("mkdir", "-p", "-m", "700", config.parent, code=0)
        owner.run("sh", "-c", f"cat >{config} <<'X'\n[access]\n{access}\nX\n", code=0)
        owner.jobd("start", code=0)
        started.append(path)
        return path

    yield start
    if started:
        owner.jobd("stop", "--now", code=0)


def log_of(user):
    return (user.home / ".local/state/jobd/jobd.log").read_text()


def refused(done, stranger):
    assert done.returncode == 77, done
    assert done.stdout == ""
    assert f"user {stranger.name} ({stranger.uid}) listens" in done.stderr
    assert "nothing was sent" in done.stderr
    return True


# --- a stranger's daemon ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "group"),
    [(0o1777, None), (0o777, None), (0o775, "games"), (0o3775, "games")],
    ids=["like /tmp", "open to all", "open to a group", "sticky, open to a group"],
)
def test_where_others_can_write_a_stranger_who_listens_hears_nothing(users, place, mode, group):
    games = (
        None if group is None else subprocess.check_output(["getent", "group", group], text=True)
    )
    where = place(users.owner, mode, None if games is None else int(games.split(":")[2]))
    path, stranger = where / "sock", users.stranger
    process = subprocess.Popen(
        [*stranger.command(*([group] if group else [])), sys.executable, "-c", FAKE, path],
        env=stranger.environment(), cwd="/", stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        named = {"JOBD_SOCKET": str(path)}
        for user in (users.viewer, users.owner):
            refused(user.jobctl("submit", "true", env=named), stranger)
        refused(users.viewer.jobctl("--owner", users.owner.name, "ls", env=named), stranger)
        root = subprocess.run(
            [Path(sys.executable).parent / "jobctl", "submit", "true"],
            env={**os.environ, **named}, capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
        refused(root, stranger)
    finally:
        said = heard(process, 4)
    assert said == ["0"] * 4


def test_who_is_named_is_heard(users, place):
    """On the command line, or in the caller's own configuration; else nobody is, in /tmp."""
    path = place(users.owner, 0o1777) / "sock"
    config = users.viewer.home / ".config/jobd/config.toml"
    named = {"JOBD_SOCKET": str(path)}
    with runs(users.stranger, FAKE, path) as fake:
        for name in (users.stranger.name, str(users.stranger.uid)):
            users.viewer.jobctl("--owner", name, "stop", "1", env=named)
        users.viewer.run("mkdir", "-p", "-m", "700", config.parent, code=0)
        for name in (users.owner.name, users.stranger.name):
            line = f"[client]\nowner = {json.dumps(name)}"
            users.viewer.run("sh", "-c", f"printf '%s' '{line}' >{config}", code=0)
            users.viewer.jobctl("stop", "1", env=named)
        # The command line wins.
        refused(users.viewer.jobctl("--owner", users.owner.name, "ls", env=named), users.stranger)
        said = heard(fake, 8)
    sent = [int(count) > 0 for count in said]
    # Whoever hangs up on us is knocked at once more, without a word.
    assert sent == [True, False] * 2 + [False] + [True, False] + [False]


def test_a_directory_on_a_way_that_others_can_write_names_nobody(users, place):
    """They may have put another one in its place."""
    way = place(users.stranger, 0o777)
    where = place(users.stranger, 0o755, beneath=way)
    with runs(users.stranger, FAKE, where / "sock") as fake:
        done = users.viewer.jobctl("submit", "true", env={"JOBD_SOCKET": str(where / "sock")})
        refused(done, users.stranger)
        assert f"other users can write {way}" in done.stderr
        assert heard(fake) == ["0"]


def test_a_link_to_a_strangers_socket_leads_to_nobody(users, place):
    """In the owner's own directory, where only the owner could put it; and at one's own place."""
    theirs = place(users.stranger, 0o755) / "sock"
    where = place(users.owner, 0o755)
    home = users.viewer.home / "jobd"
    with runs(users.stranger, FAKE, theirs) as fake:
        users.owner.run("ln", "-s", theirs, where / "sock", code=0)
        named = {"JOBD_SOCKET": str(where / "sock")}
        done = users.viewer.jobctl("submit", "true", env=named)
        refused(done, users.stranger)
        assert f"only user {users.owner.name} ({users.owner.uid}), root and you" in done.stderr
        users.viewer.run("mkdir", "-m", "700", home, code=0)
        users.viewer.run("ln", "-s", theirs, home / "jobd.sock", code=0)
        env = {"JOBD_HOME": str(home)}
        refused(users.viewer.jobctl("ls", env=env), users.stranger)
        for command in ("status", "start"):
            # Nobody is even asked: nothing of ours is a link there.
            done = users.viewer.jobd(command, env=env, code=77)
            assert f"{home}/jobd.sock is no plain file" in done.stderr
        assert heard(fake, 2) == ["0"] * 2


@pytest.mark.parametrize("how", ["directory", "link"])
@pytest.mark.parametrize("variable", ["JOBD_HOME", "JOBD_SOCKET"])
def test_a_stranger_leads_nobody_to_another_daemon_of_their_own(
    users, place, daemon, how, variable
):
    """What is meant for a queue in /tmp must not be done to the one at home."""
    daemon()
    home = users.owner.home / ".local/state/jobd"
    way = place(users.owner, 0o1777) / "queue"
    if how == "link":
        users.stranger.run("ln", "-s", home, way, code=0)
    else:
        users.stranger.run("mkdir", way, code=0)
        users.stranger.run("ln", "-s", home / "jobd.sock", way / "jobd.sock", code=0)
    named = {variable: str(way if variable == "JOBD_HOME" else way / "jobd.sock")}
    for command in (["submit", "true"], ["stop", "--all"], ["ls"]):
        done = users.owner.jobctl(*command, env=named, code=77)
        assert f"{way} belongs to user {users.stranger.name}" in done.stderr
        assert "nothing was sent" in done.stderr
    assert users.owner.jobctl("ls", "--ids", code=0).stdout == ""


def test_nobody_can_be_put_into_the_owners_own_place(users, daemon):
    daemon()
    state = users.owner.home / ".local/state/jobd"
    for command in (["rm", "-f", state / "jobd.sock"], ["mv", state, f"{state}2"]):
        assert users.stranger.run(*command).returncode != 0
    assert users.owner.jobctl("submit", "-w", "echo mine", code=0).stdout == "mine\n"


def test_the_owner_must_be_somebody(users):
    done = users.viewer.jobctl("--owner", "no-such-user", "ls", code=2)
    assert "--owner: there is no user 'no-such-user'" in done.stderr
    done = users.viewer.jobctl("--owner", "root", "ls", code=2)
    assert "JOBD_SOCKET, which is not set" in done.stderr


def test_nobody_listens_where_the_variable_leads(users):
    done = users.viewer.jobctl("ls", code=69, env={"JOBD_SOCKET": "/nope.sock"}, timeout=AT_ONCE)
    assert "nobody listens at JOBD_SOCKET=/nope.sock" in done.stderr
    assert "jobd start" in done.stderr


# --- an honest one ------------------------------------------------------------------------------


def test_the_owners_daemon_is_spoken_to_by_all_who_may(users, daemon):
    path = daemon()
    named = {"JOBD_SOCKET": str(path)}
    inside = users.owner.jobctl("submit", "-w", "jobctl submit -w 'echo inner' 2>&-", code=0)
    assert inside.stdout == "inner\n"
    assert "echo inner" in users.viewer.jobctl("ls", code=0, env=named).stdout
    own = users.owner.home / ".local/state/jobd/jobd.sock"
    root = subprocess.run(
        [Path(sys.executable).parent / "jobctl", "submit", "-w", "id -un"],
        env={**os.environ, "JOBD_SOCKET": str(own)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert root.stdout == f"{users.owner.name}\n", root
    done = users.stranger.jobctl("ls", code=77, env=named)
    assert f"belongs to user {users.owner.name} ({users.owner.uid})" in done.stderr


def test_root_at_the_place_of_another_is_told_the_way(users, daemon):
    daemon()
    state = users.owner.home / ".local/state/jobd"
    done = subprocess.run(
        [Path(sys.executable).parent / "jobctl", "ls"],
        env={**os.environ, "JOBD_HOME": str(state)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    refused(done, users.owner)
    assert f"JOBD_SOCKET={state}/jobd.sock jobctl --owner {users.owner.name}" in done.stderr


def test_in_tmp_the_owner_is_named(users, place, daemon):
    path = daemon(place(users.owner, 0o1777))
    named = {"JOBD_SOCKET": str(path)}
    refused(users.viewer.jobctl("ls", env=named), users.owner)
    users.viewer.jobctl("--owner", users.owner.name, "ls", code=0, env=named)


# --- while it is replaced -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_viewers_first_wait_outlasts_the_daemon(users, daemon, how):
    """It has heard nothing yet when the daemon goes, as somebody who is refused has not."""
    path = daemon()
    gate = users.owner.home / "gate"
    users.owner.run("mkfifo", gate, code=0)
    users.owner.jobctl("submit", f"read _ <{gate}; exit 3", code=0)
    found = {}

    def wait():
        found["done"] = users.viewer.jobctl("wait", "1", env={"JOBD_SOCKET": str(path)})

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: connections_at(path), PATIENCE)
    if how == "restarted":
        users.owner.jobd("restart", code=0)
    else:
        status = json.loads(users.owner.jobd("status", "--json", code=0).stdout)
        os.kill(status["pid"], signal.SIGKILL)
    users.owner.run("sh", "-c", f"echo >{gate}", code=0)
    waiting.join(PATIENCE)
    assert found["done"].returncode == 3, found


# --- what lies beside a socket ------------------------------------------------------------------


@pytest.mark.parametrize("who", ["viewer", "owner"])
@pytest.mark.parametrize("what", ["fifo", "held", "link"])
def test_what_a_stranger_puts_beside_a_socket_makes_nobody_wait(users, place, who, what):
    where = place(users.owner, 0o1777)
    lock = where / "jobd.lock"
    with contextlib.ExitStack() as stack:
        if what == "fifo":
            users.stranger.run("mkfifo", "-m", "666", lock, code=0)
        elif what == "link":
            target = place(users.stranger, 0o755) / "held"
            stack.enter_context(runs(users.stranger, HELD, target))
            users.stranger.run("ln", "-s", target, lock, code=0)
        else:
            stack.enter_context(runs(users.stranger, HELD, lock))
            lock.chmod(0o666)
        user = getattr(users, who)
        named = {"JOBD_SOCKET": str(where / "sock")}
        for command in (["ls"], ["submit", "true"]):
            user.jobctl(*command, code=69, env=named, timeout=AT_ONCE)


# --- knocking -----------------------------------------------------------------------------------


def test_a_stranger_in_a_user_namespace_is_refused_like_any_other(users, daemon):
    """There he is root, and all others have one number."""
    stranger = users.stranger
    if why := _why_no_namespaces(stranger):
        pytest.skip(why)
    path = daemon()
    own = users.owner.home / ".local/state/jobd/jobd.sock"
    for socket_path, options in ((path, []), (own, []), (path, ["--owner", users.owner.name])):
        done = stranger.run(
            *NAMESPACE, BIN / "jobctl", *options, "submit", "true",
            code=77, env={"JOBD_SOCKET": str(socket_path)},
        )  # fmt: skip
        assert "not permitted" in done.stderr
    inside = users.owner.run(*NAMESPACE, BIN / "jobctl", "submit", "-w", "echo mine", code=0)
    assert inside.stdout == "mine\n"


def test_in_a_user_namespace_a_strangers_daemon_hears_nothing(users, place):
    """Nor where he owns the directory: whoever is missing there may be anybody."""
    viewer = users.viewer
    if why := _why_no_namespaces(viewer):
        pytest.skip(why)
    path = place(users.stranger, 0o755) / "sock"
    with runs(users.stranger, FAKE, path) as fake:
        done = viewer.run(
            *NAMESPACE, BIN / "jobctl", "submit", "true",
            code=77, env={"JOBD_SOCKET": str(path)},
        )  # fmt: skip
        assert "cannot be told from inside this user namespace" in done.stderr
        assert heard(fake) == ["0"]


def test_however_many_strangers_knock_a_refused_request_is_in_the_log(users, daemon):
    path = daemon()
    users.stranger.run(sys.executable, "-c", KNOCKING, path, code=0)
    users.viewer.jobctl("stop", "1", code=77, env={"JOBD_SOCKET": str(path)})
    said = f"{users.viewer.name} is a viewer here, and may not change anything (stop)"
    assert said in log_of(users.owner)

    def refused():
        return log_of(users.owner).count(f"user {users.stranger.name} was refused")

    wait_until(refused)
    assert refused() <= 10
