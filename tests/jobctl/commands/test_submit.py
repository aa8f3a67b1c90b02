import os

import pytest
from msgspec.structs import replace

from jobctl.submission.environment import directory, environment, missing_program, program_of, umask
from jobd.contract.errors import NotFound, ShuttingDown
from jobd.contract.models import (
    EventPage,
    Events,
    Output,
    Page,
    Piece,
    Shown,
    Submit,
    Submitted,
    Waited,
)
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, job, jobctl

ONE = Submitted(first=12, last=12, starts_now=True, busy=1, workers=3)


def submitted(*args, stdin=b""):
    """The request that a command line sends."""
    client = FakeClient(submit=ONE)
    result = jobctl("submit", *args, client=client, stdin=stdin)
    assert result.code == 0, result.stderr
    return client.sent[0]


def commands(*args, stdin=b""):
    return [(found.argv, found.shell) for found in submitted(*args, stdin=stdin).commands]


@pytest.mark.parametrize(
    ("args", "argv", "shell"),
    [
        (["ls", "-la"], [b"ls", b"-la"], False),
        (["seq", "-n", "5", "-p", "high"], [b"seq", b"-n", b"5", b"-p", b"high"], False),
        (["echo a && echo b"], [b"echo a && echo b"], True),
        (["true"], [b"true"], True),
        (["--", "true"], [b"true"], False),
        (["--", "my prog"], [b"my prog"], False),
        (["--", "printf", "a  b", "*", "$HOME"], [b"printf", b"a  b", b"*", b"$HOME"], False),
        (["sh", "--", "x"], [b"sh", b"--", b"x"], False),
        (["--", "--", "x"], [b"--", b"x"], False),
        (["--", "-x"], [b"-x"], False),
        (["-n", "x", "true"], [b"true"], True),
        (["-n", "x", "--", "true"], [b"true"], False),
        (["-n", "--", "true"], [b"true"], True),
        (["-t", "--", "a | b"], [b"a | b"], True),
        (["-t", "--", "--", "a b"], [b"a b"], False),
        (["-n", "--", "--", "a b"], [b"a b"], False),
        (["--name=--", "--", "a b"], [b"a b"], False),
        (["-c", "a | b"], [b"a | b"], True),
        (["-p", "high", "-c", "-x"], [b"-x"], True),
        (["--json", "--", "env"], [b"env"], False),
        (["echo", "\udcff\udcfe"], [b"echo", b"\xff\xfe"], False),
        (["echo", ""], [b"echo", b""], False),
    ],
)  # fmt: skip
def test_what_is_run(args, argv, shell, monkeypatch):
    monkeypatch.setattr("jobctl.commands.submit._print_jobs", lambda *_, **__: 0)
    assert commands(*args) == [(argv, shell)]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--"],
        [""],
        ["-c", " "],
        ["-c", "x", "y"],
        ["--file", "f", "y"],
        ["--", "", "x"],
        ["-p", "urgent", "x"],
        ["-e", "novalue", "x"],
        ["-e", "=x", "x"],
        ["-w", "--json", "x"],
        ["-C", "/does/not/exist", "x"],
        ["--nonsense", "x"],
    ],
)
def test_wrong_usage_sends_nothing(args):
    client = FakeClient()
    result = jobctl("submit", *args, client=client)
    assert result.code == 2
    assert result.stderr.startswith("jobctl: ")
    assert not client.sent


def test_options_travel():
    request = submitted(
        "-p", "high", "-n", "lr3", "--requeue", "-e", "A=1=2", "-e", "B=\udcff", "x"
    )
    assert request.options.priority == 100
    assert request.options.name == "lr3"
    assert request.options.requeue
    assert request.options.progress == "auto"
    assert submitted("--progress", "none", "x").options.progress == "none"
    assert request.environment[b"A"] == b"1=2"
    assert request.environment[b"B"] == b"\xff"


def test_id_alone_on_stdout_and_no_hint_to_a_script():
    result = jobctl("submit", "true", client=FakeClient(submit=ONE))
    assert (result.stdout, result.stderr) == (b"12\n", "")


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (ONE, "starts now (1 of 3 workers busy); follow: jobctl logs -f 12\n"),
        (
            Submitted(first=1, last=1, busy=3, workers=3),
            "queued (3 of 3 workers busy); follow: jobctl logs -f 1\n",
        ),
        (
            Submitted(first=1, last=12, starts_now=True, busy=3, workers=3),
            "starts now (3 of 3 workers busy); follow: jobctl watch 1-12\n",
        ),
        (Submitted(first=1, last=1), "waits: there are no workers; jobctl workers 3 gives some\n"),
    ],
)
def test_hint_on_a_terminal(reply, hint):
    shown = Shown(job=job(reply.first, "pending", reason="queued"), attempts=[], events=[])
    client = FakeClient(submit=reply, show=shown)
    assert jobctl("submit", "true", client=client, terminal=True).stderr == hint


def test_lines_of_a_file(tmp_path):
    file = tmp_path / "jobs"
    file.write_bytes(b"# first\n\n  echo 1  \r\nprintf '\xff'\n\t# second\necho 3")
    assert commands("--file", str(file)) == [
        ([b"echo 1"], True),
        ([b"printf '\xff'"], True),
        ([b"echo 3"], True),
    ]


def test_lines_of_stdin_give_a_selector():
    client = FakeClient(submit=Submitted(first=12, last=111, workers=3))
    result = jobctl("submit", "--file", "-", client=client, stdin=b"a\n" * 100)
    assert result.stdout == b"12-111\n"
    assert len(client.sent[0].commands) == 100


def test_no_line_at_all():
    result = jobctl("submit", "--file", "-", stdin=b"\n# nothing\n")
    assert (result.code, result.stdout) == (1, b"")


def test_no_such_file():
    result = jobctl("submit", "--file", "/no/such")
    assert (result.code, result.stderr) == (
        1,
        "jobctl: cannot read /no/such: No such file or directory\n",
    )


def test_a_nul_is_named_with_its_line():
    result = jobctl("submit", "--file", "-", stdin=b"a\nb\0c\n")
    assert result.code == 2
    assert "line 2" in result.stderr


def test_json_of_one_and_of_many():
    one = FakeClient(submit=ONE, show=Shown(job=job(12), attempts=[], events=[]))
    assert jobctl("submit", "--json", "true", client=one).out.startswith("{")
    many = FakeClient(submit=ONE, list=Page(jobs=[job(12)]))
    assert jobctl("submit", "--json", "--file", "-", client=many, stdin=b"true").out.startswith("[")


def test_a_program_that_is_not_there_is_a_warning():
    result = jobctl("submit", "pyhton", "x.py", client=FakeClient(submit=ONE))
    assert result.code == 0
    assert result.stderr == "jobctl: warning: pyhton: not found in PATH\n"


def test_shutting_down():
    result = jobctl(
        "submit", "true", client=FakeClient(submit=ShuttingDown("jobd is shutting down"))
    )
    assert (result.code, result.stderr) == (75, "jobctl: jobd is shutting down\n")


@pytest.mark.parametrize("line", ["nosuchthing", "nosuchthing -x a/b", " nosuchthing", "./nosuch"])
def test_a_shell_line_whose_program_is_certainly_not_there(line):
    result = jobctl("submit", line, client=FakeClient(submit=ONE))
    assert result.code == 0
    program = line.split()[0]
    said = "no such file" if "/" in program else "not found in PATH"
    assert result.stderr == f"jobctl: warning: {program}: {said}\n"


@pytest.mark.parametrize(
    "line",
    ["true", "nosuch() { :; }; nosuch", "X=1 nosuch", "$nosuch", "cd /", "ulimit -a", "a|b",
     "x 'y'", "x *", "x >y", "alias x"],
)  # fmt: skip
def test_of_what_a_shell_may_know_nothing_is_said(line):
    assert jobctl("submit", line, client=FakeClient(submit=ONE)).stderr == ""


def test_a_program_of_a_line():
    assert program_of(b" make  data ") == b"make"
    assert [program_of(line) for line in (b"", b"if x", b"a;b", b"a=b", b"[ x ]", b"x ~")] == [
        None
    ] * 6


# --- --wait -------------------------------------------------------------------------------


def _pieces(*data):
    offset = 0
    for position, piece in enumerate(data):
        yield Piece(
            id=12, attempt=1, data=piece, offset=offset, ended=position == len(data) - 1,
            state=State.RUNNING, path="/o",
        )  # fmt: skip
        offset += len(piece)


EVENTS = EventPage(events=[], next=7)


def _shown(ended):
    return Shown(job=ended, attempts=[], events=[])


def _readiness(ended, *data):
    waited = Waited(done=True, total=1, counts={ended.state: 1}, jobs=[ended])
    return FakeClient(
        submit=ONE, output=list(_pieces(*data)), wait=waited, show=_shown(ended), events=EVENTS
    )


def _attempt(number, data, **fields):
    return Piece(
        id=12, attempt=number, data=data, offset=0, ended=True, state=State.PENDING, path="/o",
        **fields,
    )  # fmt: skip


def test_wait_shows_every_attempt_though_it_comes_late():
    """Two are over before anybody asks for one; the third starts when the second was read."""
    ended = job(12, attempt=3)
    waited = Waited(done=True, total=1, counts={ended.state: 1}, jobs=[ended])
    client = FakeClient(
        submit=ONE,
        events=EVENTS,
        show=[_shown(job(12, "pending", attempt=2))] * 2 + [_shown(ended)],
        output=lambda request: _attempt(request.attempt, b"attempt %d\n" % request.attempt),
        wait=waited,
    )
    result = jobctl("submit", "-w", "--retries", "2", "true", client=client)
    assert (result.code, result.stdout) == (0, b"attempt 1\nattempt 2\nattempt 3\n")
    waits = [request.after for request in client.of(Events) if request.wait]
    assert waits == [7]


def test_wait_goes_on_where_an_attempt_was_taken_back_or_its_output_is_gone():
    """The first has no file any more; the second never came to be, and then it did."""
    ended = job(12, attempt=2)
    once = iter([NotFound("gone"), NotFound("no attempt 2"), _attempt(2, b"two\n")])

    def output(_request):
        answer = next(once)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = FakeClient(
        submit=ONE,
        events=EVENTS,
        show=[
            _shown(job(12, "running", attempt=2)),
            _shown(job(12, "running", attempt=2)),
            _shown(job(12, "pending", attempt=1)),
            _shown(ended),
        ],
        output=output,
        wait=Waited(done=True, total=1, counts={ended.state: 1}, jobs=[ended]),
    )
    result = jobctl("submit", "-w", "true", client=client)
    assert (result.code, result.stdout) == (0, b"two\n")
    assert [request.attempt for request in client.of(Output)] == [1, 2, 2]


def test_wait_gives_output_and_exit_code():
    failed = job(12, "failed", reason="exit code 2", attempt=1, exit_code=2, run_s=41)
    client = _readiness(failed, b"a\xff", b"", b"b\n")
    result = jobctl("submit", "-w", "true", client=client)
    assert (result.code, result.stdout) == (2, b"a\xffb\n")
    assert result.stderr == (
        "job 12\njob 12 failed (exit code 2) after 41s; retry: jobctl restart 12\n"
    )
    assert [request.offset for request in client.of(Output)] == [0, 2, 2]


def test_wait_interrupted_leaves_the_job():
    client = FakeClient(
        submit=ONE, events=EVENTS, show=_shown(job(12, attempt=1)), output=KeyboardInterrupt()
    )
    result = jobctl("submit", "-w", "true", client=client)
    assert result.code == 130
    assert "job 12 goes on" in result.stderr
    assert len(client.of(Submit)) == 1


def test_wait_gives_the_exit_code_also_when_nobody_reads(monkeypatch):
    def broken(_data):
        raise BrokenPipeError

    monkeypatch.setattr("jobctl.render.streams.raw", broken)
    monkeypatch.setattr("jobctl.render.streams.abandon_stdout", lambda: None)
    failed = job(12, "failed", reason="exit code 3", attempt=1, exit_code=3)
    assert jobctl("submit", "-w", "true", client=_readiness(failed, b"x")).code == 3


# --- surroundings -------------------------------------------------------------------------


def test_cwd_as_the_shell_named_it(tmp_path, monkeypatch):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.chdir(real)
    assert directory({b"PWD": os.fsencode(link)}) == os.fsencode(link)
    assert directory({b"PWD": b"/"}) == os.fsencode(real)
    assert directory({b"PWD": b"."}) == os.fsencode(real)
    assert directory({}) == os.fsencode(real)


def test_relative_cwd_becomes_absolute(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert submitted("-C", "sub", "x").cwd == os.fsencode(tmp_path / "sub")


def test_a_directory_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = jobctl("submit", "true")
    assert result.code == 2
    assert "--cwd" in result.stderr
    monkeypatch.chdir(tmp_path)


def test_a_job_inside_a_job_inherits_none_of_its_variables():
    assert environment({b"JOBD_JOB_ID": b"7", b"JOBD_SOCKET": b"/s", b"JOBD_HOME": b"/h"}) == {
        b"JOBD_HOME": b"/h"
    }


def test_umask_is_read_unchanged():
    before = os.umask(0o027)
    try:
        assert umask() == 0o027
    finally:
        os.umask(before)


def test_missing_program(tmp_path):
    tool = tmp_path / "tool"
    tool.touch(mode=0o755)
    cwd = os.fsencode(tmp_path)
    assert missing_program(b"tool", {b"PATH": cwd}, b"/") is None
    assert missing_program(b"./tool", {}, cwd) is None
    assert missing_program(b"./toll", {}, cwd) == "./toll"
    assert missing_program(b"tool", {b"PATH": b"/nowhere"}, cwd) == "tool"


def test_who_interrupts_a_submit_learns_that_it_may_have_been_accepted():
    result = jobctl("submit", "true", client=FakeClient(submit=KeyboardInterrupt()))
    assert (result.code, result.stdout) == (130, b"")
    assert "may have been accepted all the same; see: jobctl ls" in result.stderr


def test_wait_says_that_the_output_was_emptied():
    ended = job(12, "completed", attempt=1)
    one, two, end = _pieces(b"one\n", b"two\n", b"")
    pieces = [one, replace(two, offset=0, anew=True), replace(end, offset=4)]
    waited = Waited(done=True, total=1, counts={ended.state: 1}, jobs=[ended])
    client = FakeClient(submit=ONE, output=pieces, wait=waited, show=_shown(ended), events=EVENTS)
    result = jobctl("submit", "-w", "true", client=client)
    assert result.stdout == b"one\ntwo\n"
    assert "job 12 made its output shorter, or replaced it; what" in result.stderr
