"""What lies in one's own directory may be somebody else's doing; and what others are told."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobd.admin.cli import main
from jobd.admin.lock_holders import holders
from jobd.client import connection
from tests.e2e.engine_of_run import at_the_door
from tests.e2e.instance import Instance
from tests.e2e.strangers import (
    COMMANDS,
    Root,
    assert_refused,
    holding,
    marked,
    run_jobd,
    snapshot,
    words_of,
)
from tests.helpers import processes_with, wait_until
from tests.users import needs_users

pytestmark = [pytest.mark.e2e, needs_users, at_the_door]

PLANTED = {
    "lock": "rm -f jobd.lock; mkfifo jobd.lock",
    "lock that leads away": "ln -sf ../precious jobd.lock",
    "log": "ln -sf ../precious jobd.log",
    "log that is waited for": "rm -f jobd.log; mkfifo jobd.log",
    "new log": "ln -s ../precious jobd.log.new",
    "socket": "rm -f jobd.sock; ln -s ../precious jobd.sock",
}


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_file_of_ours_is_not_opened(users, command, what):
    """Planted while the directory was open to others: it belongs to the owner, as a link does that
    was moved there, and leads to what others want written."""
    owner = users.owner
    lines = f"mkdir -p jobd; echo mine >precious; chmod 640 precious; cd jobd; {PLANTED[what]}"
    owner.run("/bin/sh", "-c", f"cd {owner.home}; umask 077; {lines}", code=0)
    before = snapshot(owner.home)
    words = words_of(command, str(owner.home / "copy"))
    done = owner.jobd(*words, env={"JOBD_HOME": str(owner.home / "jobd")})
    assert_refused(done, "is no ", "move it away")
    assert snapshot(owner.home) == before


@pytest.mark.parametrize("name", ["jobd.db", "jobd.db-wal", "jobd.log", "jobd.lock"])
def test_what_a_stranger_has_left_in_it_is_not_used(users, home, name):
    """Root's own directory was open to all for a while."""
    state = home / "state"
    state.mkdir(mode=0o755)
    (state / name).touch()
    os.chown(state / name, users.stranger.uid, users.stranger.gid)
    for command in COMMANDS:
        done = run_jobd(
            words_of(command, home / "copy"), env={"HOME": str(home), "JOBD_HOME": str(state)}
        )
        assert_refused(done, f"{state / name} belongs to user {users.stranger.name}; move it away")
    assert [path.name for path in state.iterdir()] == [name]


def test_a_directory_that_others_can_write_is_named_with_the_mending(users):
    owner = users.owner
    shared = owner.home / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    os.chown(shared, owner.uid, owner.gid)
    env = {"JOBD_HOME": str(shared / "jobd")}
    assert_refused(
        owner.jobd("start", env=env),
        f"chmod go-w {shared}", "JOBD_HOME leads there: unset it, or set it to",
    )  # fmt: skip
    assert list(shared.iterdir()) == []
    shared.chmod(0o755)
    owner.jobd("start", env=env, code=0)
    owner.jobd("stop", env=env, code=0)


@pytest.mark.parametrize("how", ["home that is his group's", "link of his own", "sticky", "long"])
def test_what_users_have_everywhere_goes_on(users, roots, how):
    """A home of mode 0775 with a group of one's own; a link to a larger disk; /tmp."""
    owner = users.owner
    state = owner.home / "jobd"
    if how == "home that is his group's":
        owner.home.chmod(0o775)
    elif how == "link of his own":
        owner.run("/bin/sh", "-c", f"mkdir {owner.home}/disk; ln -s disk {state}", code=0)
    elif how == "sticky":
        (roots / "tmp").mkdir()
        (roots / "tmp").chmod(0o1777)
        state = roots / "tmp/jobd"
    else:
        state = owner.home / ("d" * 100) / "jobd"
        owner.run("/bin/mkdir", state.parent, code=0)
    env = {"JOBD_HOME": str(state)}
    try:
        owner.jobd("start", env=env, code=0)
        assert owner.jobctl("submit", "-w", "echo done", env=env, code=0).stdout == "done\n"
        owner.jobd("restart", env=env, code=0)
        for words in (["status"], ["log"], ["check"], ["backup", str(owner.home / "copy")]):
            owner.jobd(*words, env=env, code=0)
    finally:
        owner.jobd("stop", "--now", env=env, code=0)
        owner.home.chmod(0o755)


# --- who holds the lock ---------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["jobd.daemon", "jobd.supervisor"])
@pytest.mark.parametrize("command", ["stop", "restart"])
def test_a_process_of_a_stranger_that_holds_the_lock_is_named_and_left_alone(
    users, home, command, program, monkeypatch
):
    """It could open the lock while the directory was open to all.

    The command runs in this process, so that it waits less long for a daemon of its own.
    """
    monkeypatch.setattr(connection, "_ASK_AGAIN_READING", 0.2)
    state = home / "state"
    state.mkdir()
    for directory in (home, home.parent):
        directory.chmod(0o755)
    lock = state / "jobd.lock"
    lock.touch()
    theirs = users.stranger.home
    with holding(users.stranger, theirs, lock=lock, program=program, plan={"state": "x"}) as fake:
        state.chmod(0o700)
        lock.chmod(0o600)
        done = CliRunner().invoke(main, [command], env={"JOBD_HOME": str(state)})
        assert done.exit_code == 1, done
        assert f"process {fake.pid} of user {users.stranger.name} holds {lock}" in done.stderr
        assert "left alone" in done.stderr
        assert fake.poll() is None
        assert not (theirs / "signals").exists()
    assert [path.name for path in state.iterdir()] == ["jobd.lock"]


def test_a_program_that_runs_with_our_rights_for_another_is_none_of_ours(users, home):
    """As passwd(1) does, started by the stranger, with arguments of his choice."""
    lock = home / "jobd.lock"
    lock.touch(mode=0o600)
    mixed = Root((users.stranger.command()[0], f"--ruid={users.stranger.uid}", "--"))
    with holding(Root(), home, lock=lock, plan={"state": "s"}) as process, holders(lock) as found:
        assert [(one.pid, one.plan) for one in found] == [(process.pid, {"state": "s"})]
    with holding(mixed, home, lock=lock) as process, holders(lock) as found:
        uids = Path(f"/proc/{process.pid}/status").read_text().partition("Uid:\t")[2].split()[:2]
        assert uids == [str(users.stranger.uid), "0"]
        assert found == []


# --- the configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["--config", "JOBD_HOME", "XDG_CONFIG_HOME", "link", "others"])
def test_a_configuration_that_others_could_have_written_is_not_read(users, home, way):
    """Whoever writes it is an admin, and runs commands as root."""
    stranger = users.stranger
    state = home / "state"
    text = f'[access]\nsocket = "{home}/x"\nadmins = ["{stranger.name}"]\n'
    theirs = stranger.home / "jobd/config.toml"
    stranger.run("/bin/sh", "-c", f"mkdir {theirs.parent}; printf '{text}' >{theirs}", code=0)
    env, words = {"HOME": str(home), "JOBD_HOME": str(state)}, ["start"]
    named = f"{stranger.home} belongs to user {stranger.name}"
    if way == "--config":
        words = ["start", "--config", theirs]
    elif way == "XDG_CONFIG_HOME":
        env = {
            "HOME": str(home), "XDG_STATE_HOME": str(state), "XDG_CONFIG_HOME": str(stranger.home)
        }  # fmt: skip
    else:
        state.mkdir(mode=0o700)
        config = state / "config.toml"
        if way == "link":
            config.symlink_to(theirs)
        else:
            config.write_text(text)
            config.chmod(0o666)
            named = f"chmod go-w {config}"
        if way == "JOBD_HOME":
            config.chmod(0o600)
            os.chown(config, stranger.uid, stranger.gid)
            named = f"{config} belongs to user {stranger.name}"
    with marked(home) as mark:
        done = run_jobd(words, env={**env, **dict([mark.split("=")])})
        assert_refused(done, named, "--config" if way == "--config" else "JOBD_HOME")
        assert processes_with(mark) == {}


def test_a_copy_is_not_made_where_others_can_put_something_in_its_place(users, home):
    """`jobd backup` writes where its file leads: with root's rights, to any file."""
    instance = Instance(home / "jobd", home / "work")
    instance.start()
    try:
        instance.submit("true")
        theirs = users.stranger.home / "backups"
        users.stranger.run("/bin/mkdir", theirs, code=0)
        done = instance.run("jobd", "backup", theirs / "copy.db")
        assert_refused(done, f"belongs to user {users.stranger.name}", "that only you can change")
        assert list(theirs.iterdir()) == []
        sticky = home / "sticky"
        sticky.mkdir()
        sticky.chmod(0o1777)
        instance.jobd("backup", sticky / "copy.db")
        assert [path.name for path in sticky.iterdir()] == ["copy.db"]
        sticky.chmod(0o777)
        done = instance.run("jobd", "backup", "--force", sticky / "copy.db")
        assert_refused(done, f"chmod go-w {sticky}")
    finally:
        instance.close()


def test_nothing_of_the_configuration_is_an_argument(users):
    """Whoever can run ps(1) sees the arguments of all, also after hand-overs of every kind."""
    owner, stranger = users.owner, users.stranger
    env = {"JOBD_HOME": str(owner.home / "jobd")}
    config = owner.home / "jobd/config.toml"
    owner.run("/bin/mkdir", "-m", "700", config.parent, code=0)
    config.write_text('[daemon]\nenv_exclude = ["SECRET_OF_OURS_*"]\n')
    os.chown(config, owner.uid, owner.gid)
    owner.jobd("start", "--workers", "7", env=env, code=0)
    try:

        def status():
            done = owner.jobd("status", "--json", env=env)
            return json.loads(done.stdout) if done.returncode == 0 else None

        def seen():
            found = stranger.run("/bin/cat", *pids(), code=0).stdout
            assert found.count("jobd.daemon\0") == found.count("jobd.supervisor\0") == 1
            return found

        def pids():
            return [f"/proc/{status()[key]}/cmdline" for key in ("pid", "supervisor_pid")]

        for hand_over in ("none", "restart", "daemon", "supervisor"):
            before = status()
            if hand_over == "restart":
                owner.jobd("restart", env=env, code=0)
            elif hand_over != "none":
                os.kill(before["pid" if hand_over == "daemon" else "supervisor_pid"], 9)
                wait_until(lambda old=before: (now := status()) and now["pid"] != old["pid"])
            assert "SECRET_OF_OURS" not in seen(), hand_over
            assert "jobd/config.toml" not in seen(), hand_over
        assert status()["workers"] == 7
        told = owner.jobctl(
            "submit", "-w", "readlink /proc/self/fd/*; true", env=env, code=0
        ).stdout
        assert "jobd.plan" not in told
    finally:
        owner.jobd("stop", "--now", env=env, code=0)
