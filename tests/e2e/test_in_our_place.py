"""What another user has put in the place of what is ours is refused: not followed, not changed.

Real users: the owner of the daemon, and a stranger who would like its files or its socket.
"""

import contextlib
import grp
import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jobd.contract.paths import locate
from jobd.store import backup
from tests.e2e.engine_of_run import at_the_door
from tests.helpers import wait_until
from tests.users import needs_users

pytestmark = [pytest.mark.e2e, at_the_door]


@pytest.fixture
def public():
    """A directory of root's that everybody can reach."""
    directory = Path(tempfile.mkdtemp(prefix="jp-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def owner(users):
    """No daemon of theirs is left running."""
    yield users.owner
    for home in (users.owner.home / "q", None):
        env = {} if home is None else {"JOBD_HOME": str(home)}
        with contextlib.suppress(subprocess.TimeoutExpired):
            users.owner.jobd("stop", "--now", env=env)


def give(path, user):
    os.chown(path, user.uid, user.gid, follow_symlinks=False)


def directory(path, user=None, mode=0o755):
    """Make one; `user` None: root's."""
    path.mkdir()
    path.chmod(mode)
    if user is not None:
        give(path, user)
    return path


def precious(user):
    """A directory of theirs that others may look into, and its file."""
    www = directory(user.home / "www", user)
    (www / "index.html").write_text("precious")
    give(www / "index.html", user)
    return www


def assert_untouched(www):
    assert stat.S_IMODE(www.stat().st_mode) == 0o755
    assert os.listdir(www) == ["index.html"]
    assert (www / "index.html").read_text() == "precious"


def with_socket(owner, path):
    """An instance of theirs that lets others in there."""
    home = directory(owner.home / "q", owner, 0o700)
    (home / "config.toml").write_text(f"[access]\nsocket = {json.dumps(str(path))}\n")
    give(home / "config.toml", owner)
    return {"JOBD_HOME": str(home)}


# --- the socket for others ----------------------------------------------------------------------


def open_to_all(base, owner, stranger):
    return directory(base / "d", owner, 0o777), "other users can write {base}/d; chmod go-w"


def of_a_group(base, owner, stranger):
    found = directory(base / "d", owner, 0o775)
    os.chown(found, owner.uid, grp.getgrnam("games").gr_gid)
    return found, "other users can write {base}/d; chmod go-w"


def the_strangers(base, owner, stranger):
    return directory(base / "d", stranger, 0o777), "{base}/d belongs to user {stranger}"


def below_the_strangers(base, owner, stranger):
    above = directory(base / "d", stranger, 0o777)
    return directory(above / "e", owner), "{base}/d belongs to user {stranger}"


def behind_a_strangers_link(base, owner, stranger):
    directory(base / "d", owner)
    above = directory(base / "all", None, 0o1777)
    (above / "link").symlink_to(base / "d")
    give(above / "link", stranger)
    return above / "link", "{base}/all/link belongs to user {stranger}"


@needs_users
@pytest.mark.parametrize(
    "where",
    [open_to_all, of_a_group, the_strangers, below_the_strangers, behind_a_strangers_link],
)
def test_the_socket_for_others_lies_where_only_its_owner_can_change_things(
    owner, users, public, where
):
    """Whoever can put a link in its place has the mode of any file of the owner's changed."""
    place, why = where(public, owner, users.stranger)
    env = with_socket(owner, place / "sock")
    done = owner.jobd("start", env=env, code=1)
    assert f"[access] socket = '{place}/sock': " in done.stderr
    assert why.format(base=public, stranger=users.stranger.name) in done.stderr
    assert os.listdir(place) == []
    assert owner.jobd("status", env=env).returncode == 3


@needs_users
def test_in_a_directory_like_tmp_a_stranger_may_be_first_and_is_named(owner, users, public):
    place = directory(public / "d", None, 0o1777)
    env = with_socket(owner, place / "sock")
    users.stranger.run(
        sys.executable, "-c",
        f"import socket; socket.socket(socket.AF_UNIX).bind({str(place / 'sock')!r})", code=0,
    )  # fmt: skip
    done = owner.jobd("start", env=env, code=1)
    assert f"a socket of user {users.stranger.name} lies there; name another path" in done.stderr
    (place / "sock").unlink()
    owner.jobd("start", env=env, code=0)
    assert stat.S_IMODE((place / "sock").stat().st_mode) == 0o666
    users.stranger.run("rm", "-f", place / "sock")
    assert users.stranger.jobctl("ls", env={"JOBD_SOCKET": str(place / "sock")}).returncode == 77


@needs_users
def test_it_is_not_made_anew_while_others_could_change_it(owner, public):
    place = directory(public / "d", owner)
    env = with_socket(owner, place / "sock")
    owner.jobd("start", env=env, code=0)
    log = locate(env).log
    place.chmod(0o777)
    (place / "sock").unlink()
    wait_until(lambda: f"other users can write {place}" in log.read_text())
    assert not (place / "sock").exists()
    place.chmod(0o755)
    wait_until((place / "sock").exists, 30)
    with socket.socket(socket.AF_UNIX) as client:
        wait_until(lambda: client.connect_ex(str(place / "sock")) == 0)


# --- the state directory ------------------------------------------------------------------------


@needs_users
@pytest.mark.parametrize("above", ["sticky", "strangers"])
def test_a_home_that_is_a_strangers_link_is_not_followed(owner, users, public, above):
    """It leads to a directory of the owner's that has nothing to do with jobd."""
    www = precious(owner)
    by = None if above == "sticky" else users.stranger
    place = directory(public / "d", by, 0o1777)
    (place / "q").symlink_to(www)
    give(place / "q", users.stranger)
    done = owner.jobd("start", env={"JOBD_HOME": str(place / "q")}, code=77)
    named = place / "q" if above == "sticky" else place
    assert f"{named} belongs to user {users.stranger.name}" in done.stderr
    assert_untouched(www)


@needs_users
def test_a_home_that_holds_other_things_is_not_closed(owner):
    """Also where it is by the owner's own hand: web pages are for others to see."""
    www = precious(owner)
    (owner.home / "q").symlink_to(www)
    give(owner.home / "q", owner)
    for path in (www, owner.home / "q"):
        done = owner.jobd("start", env={"JOBD_HOME": str(path)}, code=1)
        assert f"{path} holds other things and is open to other users (mode 0755)" in done.stderr
        assert f"such as {path}/jobd" in done.stderr
        assert_untouched(www)


@needs_users
def test_what_a_stranger_left_in_a_home_that_was_open_is_not_used(owner, users):
    """As the log it would be written to, wherever it leads."""
    home = directory(owner.home / "q", owner, 0o777)
    profile = owner.home / ".profile"
    profile.write_text("mine\n")
    give(profile, owner)
    users.stranger.run("ln", "-s", profile, home / "jobd.log", code=0)
    done = owner.jobd("start", env={"JOBD_HOME": str(home)}, code=77)
    assert f"other users can write {home}; chmod go-w {home}" in done.stderr
    home.chmod(0o700)
    done = owner.jobd("start", env={"JOBD_HOME": str(home)}, code=77)
    assert f"{home}/jobd.log belongs to user {users.stranger.name}; move it away" in done.stderr
    assert profile.read_text() == "mine\n"
    (home / "jobd.log").unlink()
    owner.jobd("start", env={"JOBD_HOME": str(home)}, code=0)


@needs_users
@pytest.mark.parametrize("mask", ["0", "0777"])
def test_all_that_is_made_is_the_owners_alone_whatever_the_umask(owner, mask):
    """Also the directories above, in a home that has none of them yet."""
    owner.run("sh", "-c", f"umask {mask}; exec jobd start", code=0)
    owner.jobctl("submit", "-w", "true", code=0)
    made = [Path(folder) for folder, _, _ in os.walk(owner.home / ".local")]
    state = owner.home / ".local/state/jobd"
    assert {state, state.parent, state / "output/0"} <= set(made)
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in made} == dict.fromkeys(made, 0o700)


# --- in memory ----------------------------------------------------------------------------------


@pytest.fixture
def memory(owner):
    """Where an instance of the owner's is to have its database, by a name that all can know."""
    name = hashlib.sha256(os.fsencode(owner.home / "q")).hexdigest()[:16]
    path = Path("/dev/shm") / f"jobd-{owner.uid}-{name}"
    yield path
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def put_a_link(path, www):
    return f"ln -s {www} {path}"


def put_a_directory(path, www):
    return f"mkdir -m 0777 {path} && touch {path}/file"


def put_a_pipe(path, www):
    """Whoever opens it to read waits for ever."""
    return f"mkdir -m 0777 {path} && mkfifo -m 0666 {path}/jobd.db"


@needs_users
@pytest.mark.parametrize("put", [put_a_link, put_a_directory, put_a_pipe])
def test_what_a_stranger_has_put_into_shared_memory_is_not_used(owner, users, memory, put):
    www = precious(owner)
    env = {"JOBD_HOME": str(owner.home / "q")}
    users.stranger.run("sh", "-c", put(memory, www), code=0)
    done = owner.jobd("start", "--ephemeral", env=env, code=1)
    assert f"{memory} belongs to user {users.stranger.name}; start without --ephe" in done.stderr
    assert_untouched(www)
    assert memory.is_symlink() or len(os.listdir(memory)) == 1
    owner.jobd("start", env=env, code=0)


@needs_users
def test_what_is_left_in_memory_goes_and_no_link_in_it_is_followed(owner, memory):
    www = precious(owner)
    env = {"JOBD_HOME": str(owner.home / "q")}
    directory(memory, owner, 0o700)
    for left in (memory / "jobd.db-wal", memory / "link"):
        left.symlink_to(www)
        give(left, owner)
    owner.jobd("start", "--ephemeral", env=env, code=0)
    assert "link" not in os.listdir(memory)
    owner.jobd("stop", env=env, code=0)
    assert not memory.exists()
    assert_untouched(www)


# --- files that are written by name -------------------------------------------------------------


def test_a_lock_that_is_a_link_is_not_followed(instance):
    """Its content would be replaced by a pid."""
    instance.paths.state.mkdir(mode=0o700)
    victim = instance.work / "precious"
    victim.write_text("precious")
    instance.paths.lock.symlink_to(victim)
    done = instance.jobd("start", code=77)
    assert f"{instance.paths.lock} is no plain file; move it away" in done.stderr
    assert victim.read_text() == "precious"
    instance.paths.lock.unlink()


@needs_users
def test_a_backup_goes_where_nobody_else_can_change_it(owner, users, public):
    """Whoever can would have the copy, with all environments, written into a file of theirs."""
    env = {"JOBD_HOME": str(owner.home / "q")}
    owner.jobd("start", env=env, code=0)
    place = directory(public / "d", owner, 0o777)
    done = owner.jobd("backup", str(place / "copy.db"), env=env, code=77)
    assert f"other users can write {place}" in done.stderr
    assert "name a file in a directory that only you can change" in done.stderr
    assert os.listdir(place) == []
    place.chmod(0o1777)
    owner.jobd("backup", str(place / "copy.db"), env=env, code=0)
    assert os.listdir(place) == ["copy.db"]


@needs_users
def test_nothing_is_put_beside_a_copy_while_it_is_made(running, users, public, monkeypatch):
    """What is named like its journal, SQLite would take for it."""
    place = directory(public / "d", None, 0o1777)
    copy = backup.copy_whole
    tried = []

    def disturbed(source, partial):
        tried.append(users.stranger.run("touch", f"{partial}-journal").returncode)
        return copy(source, partial)

    monkeypatch.setattr(backup, "copy_whole", disturbed)
    running.submit("true")
    assert backup.backup(running.paths.database, place / "q", running=True, force=False) == 1
    assert tried == [1]
    assert os.listdir(place) == ["q"]
