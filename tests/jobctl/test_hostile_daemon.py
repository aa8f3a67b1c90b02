"""Whatever a daemon says, a foreign or a fake one: no command breaks, no terminal is driven."""

import re
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect
from msgspec.structs import replace

from jobctl.actions import exit_codes
from jobctl.actions import watch as watching
from jobctl.cli import COMMANDS
from jobctl.render import words
from jobd.client.connection import _decode
from jobd.contract import wire
from jobd.contract.errors import Refused, VersionMismatch
from jobd.contract.models import Job, Page, View, WorkersReply
from jobd.contract.states import State
from jobd.contract.version import VERSION
from tests.jobctl.fakes import job, jobctl
from tests.jobctl.hostile import FORGED, HOSTILE, REASONS, HostileDaemon, is_known

_COLUMNS = ",".join(Job.__struct_fields__)
COMMAND_LINES = [
    line.split()
    for line in [
        "submit true", "submit --json true", "submit --like 3", "submit --at 18:00 true",
        "submit --array 1-2 true", "submit --array 1-2 --json true",
        "ls", "ls 1-9", "ls --ids", "ls --json", "ls --format ndjson", "ls --format csv",
        f"ls --columns {_COLUMNS}", f"ls --format csv --columns {_COLUMNS}", "ls --sort -run_s",
        "ls --format {id}{name}{command}", "ls --group g", "ls --tag t",
        "show 1", "show 1 --json", "show 1 --env", "show 1 --env --json",
        "logs --path 1", "logs --path 1-9",
        "watch", "watch 1-9", "watch --json", "status", "status --json",
        "events", "events --json", "events -f -n 3", "events 1",
        "history", "history --json", "history --by name", "history --by day",
        "history --by exit-code --format csv", "report -",
        "wait 1", "wait 1-9", "wait --any 1-9", "wait --all", "wait 1 --json",
        "wait --timeout 0 1-9",
        "hold --all", "hold --dry-run --all", "start 1", "start --all", "start --dry-run 1",
        "stop 1", "stop --all", "restart 1", "restart --failed", "rm 1", "rm --force 1-9",
        "rm --force --all", "pause 1", "pause --group g", "pause --group g --running", "resume 1",
        "resume --group g", "edit 1 -p 3", "edit 1 --at 18:00", "progress 40 --job 1",
        "workers", "workers 3", "workers --json", "workers --group g", "workers 2 --group g --json",
        "groups", "groups --json", "groups add g", "groups set g --workers 1 --json", "groups rm g",
        "notify --test", "notify --test --json", "notifications", "notifications --json",
        "completion bash", "completion zsh --for 2 -- jobctl stop",
        "completion fish --for 3 -- jobctl ls --tag",
        "completion bash --for 3 -- jobctl ls --group",
        "help", "help submit", "help manifest", "version",
    ]
]  # fmt: skip
BYTE_FOR_BYTE = [line.split() for line in ["logs 1", "logs -f 1", "submit -w true"]]
"""What they print on stdout is what the job printed."""
_EXACT_WHERE_PIPED = ("csv", "--env", "--path")
_OURS = re.compile(r"\x1b\[\d+A\r|\x1b\[[KJ]|\A\r")
"""What `watch` moves the cursor with. The tests have no colours."""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TZ", "America/New_York")  # where the year 1 has not begun
    monkeypatch.setattr(watching, "_BREATH", 0.0)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def told(words, client, *, terminal):
    """Run it; what is printed to the two streams must be fit for a terminal."""
    result = jobctl(*words, client=client, terminal=terminal)
    assert "defect" not in result.stderr, result.stderr
    assert 0 <= result.code <= 255
    assert_fit(result.stderr)
    exact = words in BYTE_FOR_BYTE or (not terminal and {*_EXACT_WHERE_PIPED} & {*words})
    if not exact:
        assert_fit(_OURS.sub("", result.out) if words[0] == "watch" else result.out)
    return result


def assert_fit(said):
    for line in said.split("\n"):
        assert line.isprintable(), ascii(line)
        assert not line.startswith(FORGED)


def test_each_command_is_tried():
    """But the one that takes the whole screen, whose screens are tested where they are made."""
    assert {words[0] for words in COMMAND_LINES} == {*COMMANDS} - {"top"}


@pytest.mark.parametrize("kind", View.__subclasses__())
def test_each_view_can_be_made(kind):
    assert is_known(inspect.type_info(kind))


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("words", [*COMMAND_LINES, *BYTE_FOR_BYTE], ids=" ".join)
def test_the_worst_of_every_field(words, terminal):
    for seed in range(5):
        told(words, HostileDaemon(seed), terminal=terminal)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([*COMMAND_LINES, *BYTE_FOR_BYTE]),
    st.integers(0, 2**32),
    st.lists(st.text(), min_size=1, max_size=8),
    st.booleans(),
)
def test_anything_in_every_field(words, seed, strings, terminal):
    told(words, HostileDaemon(seed, strings * 3), terminal=terminal)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reason", [*REASONS, *HOSTILE])
def test_any_state_with_any_reason(state, reason):
    daemon = HostileDaemon(0)
    for _ in range(40):
        made = replace(daemon.value(inspect.type_info(Job)), state=state, reason=reason)
        assert isinstance(words.detail(made), str)
        code = exit_codes.exit_code_of(made)
        assert 0 <= code <= 255
        assert (code == 0) == (state is State.COMPLETED)


# --- answers that are none ----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"\xa1\xff",
        b"\x91" * 100_000,
        b"\xc1",
        msgspec.msgpack.encode({"workers": "many", "busy": 0}),
        msgspec.msgpack.encode({"\x1b]0;x\x07": 1}),
    ],
)
def test_an_answer_that_cannot_be_read_is_no_defect(body):
    reply = msgspec.msgpack.encode({"version": "0", "body": msgspec.Raw(body), "error": None})
    with pytest.raises(VersionMismatch):
        _decode(reply, WorkersReply)


def test_a_time_without_its_zone_is_no_time():
    entry = {**msgspec.to_builtins(job()), "submitted_at": "2026-01-02T12:00:00"}
    reply = msgspec.msgpack.encode({"version": "0", "body": {"jobs": [entry]}, "error": None})
    with pytest.raises(VersionMismatch, match="timezone"):
        _decode(reply, Page)


def test_an_error_is_one_line():
    error = wire.WireError(kind="Refused", message=f"no\n{FORGED}\x1b[2J" + "x" * 10_000)
    reply = wire.encode(wire.Reply(version=VERSION, error=error))
    with pytest.raises(Refused) as caught:
        _decode(reply, WorkersReply)
    assert caught.value.message.startswith(f"no\\n{FORGED}\\x1b[2Jxxx")
    assert len(caught.value.message) < 1100
