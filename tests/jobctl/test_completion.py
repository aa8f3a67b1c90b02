"""What a shell is told when somebody presses TAB."""

import click
import pytest

from jobctl.actions.live_words import LiveWords
from jobctl.cli import COMMANDS
from jobctl.parsing.proposals import Live
from jobd.contract import shells
from jobd.contract.errors import NotRunning, VersionMismatch
from jobd.contract.models import Array, GroupShare, GroupsReply, List, Page
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, job, jobctl

JOBS = [
    job(1, "running", name="lr3", tags=["night", "gpu"], user="eve"),
    job(12, "pending", command="x" * 99),
    job(3, "failed", name="a\x1b[31m\tb", tags=["$(x)"]),
]
GROUPS = GroupsReply(groups=[GroupShare(name="default"), GroupShare(name="gpu", workers=2)])


def proposed(*words, shell="zsh", client=None):
    """Kind, word and what it is, of what may stand in the place of the last word."""
    client = client or FakeClient(list=Page(jobs=JOBS), groups=GROUPS)
    line = ["completion", shell, "--for", str(len(words)), "--", "jobctl", *words]
    result = jobctl(*line, client=client)
    assert (result.code, result.stderr) == (0, "")
    lines = result.out.splitlines()
    return [tuple(lines[at : at + 3]) for at in range(0, len(lines), 3)]


def words(*typed, **given):
    return [word for _, word, _ in proposed(*typed, **given)]


def test_commands_and_options():
    assert words("") == [*COMMANDS]
    assert words("com") == ["completion"]
    assert "--state" in words("ls", "--s")
    assert words("submit", "--array", "1-3", "--time") == ["--time-limit"]
    assert words("groups", "r") == ["rm"]


def test_topics_of_help():
    assert proposed("help", "man") == [("plain", "manifest", "several jobs in a file")]
    assert {"submit", "exit-codes"} <= set(words("help", ""))


def test_every_option_of_every_command_is_proposed():
    for name in COMMANDS:
        found = words(name, "--")
        assert "--help" in found
        assert set(found) >= {
            option
            for param in _command(name).params
            if isinstance(param, click.Option) and not param.hidden
            for option in param.opts
            if option.startswith("--")
        }


def _command(name):
    from jobctl.cli import group

    return group.get_command(click.Context(group), name)


def test_ids_with_name_and_state():
    assert proposed("logs", "1") == [
        ("plain", "1", "running, lr3"),
        ("plain", "12", f"pending, {'x' * 39}…"),
    ]
    assert words("show", "3") == ["3"]
    assert words("stop", "1,") == ["1,1", "1,12", "1,3", "1,last"]


def test_an_array_is_one_selector_and_leaves_room_for_others():
    array = Array(first=12, last=111, first_index=1, last_index=100, counts={State.PENDING: 100})
    batch = Array(first=3, last=4, counts={State.FAILED: 2})
    client = FakeClient(list=Page(jobs=JOBS, arrays={12: array, 3: batch}))
    assert proposed("logs", "", client=client)[1:3] == [
        ("plain", "12-111", f"array of 100, {'x' * 39}…"),
        ("plain", "3-4", "batch of 2, a\\x1b[31m\\tb"),
    ]
    assert words("show", "1", client=client) == ["1", "12"]
    assert all(request.collapsed for request in client.of(List))


def test_an_earlier_daemon_proposes_elements():
    def listed(request):
        if request.collapsed:
            raise VersionMismatch("an unknown field")
        return Page(jobs=JOBS)

    assert words("logs", "1", client=FakeClient(list=listed)) == ["1", "12"]


def test_topics_and_commands_of_which_there_is_help():
    assert words("help", "ma") == ["manifest"]
    assert all(about for _, _, about in proposed("help", "exit"))
    assert words("help", "resu") == ["resume"]


@pytest.mark.parametrize(
    ("command", "states"),
    [("stop", ["pending", "running"]), ("hold", ["pending"]), ("ls", []), ("resume", ["running"])],
)
def test_only_jobs_with_which_a_command_can_do_something_are_asked_for(command, states):
    client = FakeClient(list=Page(jobs=[]))
    proposed(command, "", client=client)
    (request,) = client.of(List)
    assert request.selector.states == list(map(State, states))
    assert request.finished == request.pending == 100


def test_values():
    assert words("ls", "--state", "") == [state.value for state in State]
    assert words("ls", "--state", "failed,r") == ["failed,running"]
    assert words("ls", "--group", "") == ["default", "gpu"]
    assert words("submit", "-g", "g") == ["gpu"]
    assert words("submit", "--tag", "n") == ["night"]
    assert words("ls", "--tag", "") == ["night", "gpu", "$(x)"]
    assert words("ls", "--user", "") == ["eve"]
    assert words("ls", "--sort", "run") == ["run_s"]
    assert words("stop", "--signal", "U") == ["USR1", "USR2"]
    assert words("submit", "-p", "h") == ["high"]
    assert words("--color", "n") == ["never"]


def test_files_and_commands_are_the_shells():
    assert proposed("submit", "--script", "x") == [("file", "", "")]
    assert proposed("submit", "-C", "") == [("dir", "", "")]
    assert proposed("submit", "ma") == [("command", "", "")]
    assert proposed("submit", "make", "x") == [("file", "", "")]


def test_a_name_that_no_line_can_have_is_left_out():
    assert words("ls", "--name", "") == ["lr3"]


def test_an_equals_sign():
    assert words("ls", "--state=f") == ["--state=failed"]
    line = ["ls", "--state", "=", "f"]
    assert words(*line, shell="bash") == ["failed"]
    assert "failed" in words(*line[:3], shell="bash")


@pytest.mark.parametrize(
    "typed",
    [["nonsense", ""], ["ls", "--nonsense", ""], ["ls", "--state", "x", "--tag", "a b", ""], [""]],
)
def test_a_wrong_line_is_no_error(typed):
    proposed(*typed)


def test_no_daemon_no_ids():
    client = FakeClient(list=NotRunning("no"), groups=NotRunning("no"))
    assert words("stop", "", client=client) == []
    assert words("ls", "--group", "", client=client) == []
    assert words("ls", "--state", "f", client=client) == ["failed"]


@pytest.mark.parametrize("shell", shells.SCRIPTS)
def test_a_script_for_each_shell(shell):
    out = jobctl("completion", shell).out
    assert f"completion {shell} --for" in out
    assert "NAME" not in out


def test_who_asks_is_what_the_parameters_take():
    assert isinstance(LiveWords(FakeClient()), Live)
