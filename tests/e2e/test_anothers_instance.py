"""Nobody acts on an instance that is not his own, least of all root: whoever owns the state
directory would decide what root runs, writes, chmods and signals.

A stranger has prepared one: a process of his holds the lock, never answers, and says in its
arguments what it was started with; what root would open leads to files of root.
"""

import json

import pytest

from jobd.admin.cli import main
from tests.e2e.engine_of_run import at_the_door
from tests.e2e.strangers import (
    ABOUT_NONE,
    COMMANDS,
    OF_A_SERVICE,
    Trap,
    assert_refused,
    marked,
    run_jobd,
    snapshot,
    words_of,
)
from tests.helpers import processes_with
from tests.users import needs_users

pytestmark = [pytest.mark.e2e, needs_users, at_the_door]


def test_every_command_is_among_those_that_are_tried():
    tried = {words[0] for words in COMMANDS.values()}
    assert tried | ABOUT_NONE | OF_A_SERVICE == set(main.commands)


@pytest.mark.parametrize("variable", ["JOBD_HOME", "HOME", "XDG_STATE_HOME"])
@pytest.mark.parametrize("command", COMMANDS)
def test_root_does_nothing_with_an_instance_of_a_stranger(users, roots, home, command, variable):
    trap = Trap(users.stranger, roots)
    leads = {
        "JOBD_HOME": {"HOME": str(home), "JOBD_HOME": str(trap.state)},
        "HOME": {"HOME": str(trap.user.home)},
        "XDG_STATE_HOME": {"HOME": str(home), "XDG_STATE_HOME": str(trap.state.parent)},
    }[variable]
    words = words_of(command, home / "copy.db")
    with trap.set() as mark:
        done = run_jobd(words, env=leads | mark)
        who = trap.user.name
        assert_refused(
            done, f"{trap.user.home} belongs to user {who}", f"{variable} leads there",
            f"sudo -H -u {who} ", f"jobd {words[0]})",
        )  # fmt: skip
    assert not (home / "copy.db").exists()


@pytest.mark.parametrize("program", ["jobd.daemon", "jobd.supervisor"])
def test_the_way_out_is_one(users, roots, home, program):
    """`sudo -u` in the words of the message: it is that user's own instance, and acts on it."""
    trap = Trap(users.stranger, roots, program)
    with trap.set() as mark:
        env = {"JOBD_HOME": str(trap.state), "HOME": str(home), **mark}
        said = run_jobd(["status"], env=env).stderr
    words = said[said.index("(sudo") + 1 : said.index(")")].split()
    assert words[:4] == ["sudo", "-H", "-u", trap.user.name]
    trap.user.run("/bin/sh", "-c", f"rm -r {trap.state}", code=0)
    assert trap.user.run(*words[4:]).returncode == 3
    assert "not running" in trap.user.run(*words[4:]).stdout


@pytest.mark.parametrize("command", ["start", "start in this terminal", "backup", "check"])
@pytest.mark.parametrize("where", ["HOME", "JOBD_HOME"])
def test_root_makes_nothing_in_the_home_of_another(users, home, command, where):
    """There is no instance yet: it would be root's, in a place where another may put things."""
    theirs = users.stranger.home
    env = {"HOME": str(theirs)} if where == "HOME" else {"JOBD_HOME": str(theirs / "new")}
    words = words_of(command, home / "copy.db")
    with marked(theirs) as mark:
        env |= dict([mark.split("=")])
        done = run_jobd(words, env={"HOME": str(home), **env})
        assert_refused(done, f"belongs to user {users.stranger.name}", where)
        assert list(theirs.iterdir()) == []
        assert processes_with(mark) == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_of_a_stranger_is_not_followed(users, roots, home, command):
    """In /tmp everybody may put one, also under the name that root is about to use."""
    (roots / "www").mkdir(mode=0o755)
    (roots / "tmp").mkdir()
    (roots / "tmp").chmod(0o1777)
    link = roots / "tmp/jobd"
    users.stranger.run("/bin/ln", "-s", roots / "www", link, code=0)
    before = snapshot(roots)
    words = words_of(command, home / "copy.db")
    done = run_jobd(words, env={"HOME": str(home), "JOBD_HOME": str(link)})
    assert_refused(done, f"{link} belongs to user {users.stranger.name}", "JOBD_HOME")
    assert snapshot(roots) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_an_owner_does_nothing_with_an_instance_of_a_stranger(users, roots, command):
    """He is not root, and is no more to be led."""
    trap = Trap(users.stranger, roots)
    words = words_of(command, "copy.db")
    with trap.set() as mark:
        env = {"JOBD_HOME": str(trap.state), **mark}
        done = users.owner.jobd(*words, env=env)
        assert_refused(done, f"belongs to user {trap.user.name}", "JOBD_HOME leads there: unset it")
    assert list(users.owner.home.iterdir()) == []


def test_a_stranger_does_nothing_with_an_instance_of_an_owner(users):
    """Though it lies open: the door was left open, and the modes let him in."""
    owner, stranger = users.owner, users.stranger
    state = owner.home / "jobd"
    env = {"JOBD_HOME": str(state)}
    owner.jobd("start", env=env, code=0)
    try:
        assert owner.jobctl("submit", "-w", "echo done", env=env, code=0).stdout == "done\n"
        pid = json.loads(owner.jobd("status", "--json", env=env, code=0).stdout)["pid"]
        state.chmod(0o755)
        for name, mode in (("jobd.sock", 0o666), ("jobd.log", 0o644), ("jobd.db", 0o644)):
            (state / name).chmod(mode)
        for command in COMMANDS:
            done = stranger.jobd(*words_of(command, str(stranger.home / "copy.db")), env=env)
            assert_refused(done, f"belongs to user {owner.name}")
        found = json.loads(owner.jobd("status", "--json", env=env, code=0).stdout)
        assert (found["pid"], found["draining"]) == (pid, False)
        assert list(stranger.home.iterdir()) == []
    finally:
        owner.jobd("stop", "--now", env=env, code=0)
