"""What a job gets at its start: niceness, standard input, a script of its own, an environment."""

import os

import pytest

from jobd.contract.errors import StoreFailed
from jobd.contract.models import Command, Options, Selector, Submit
from jobd.contract.states import State
from jobd.engines.local.engine import LocalEngine
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of


def submit(daemon, *argv, script=b"", environment=None, **options):
    request = Submit(
        commands=[Command(argv=[os.fsencode(word) for word in argv], script=script)],
        options=Options(**options),
        cwd=b"/",
        environment={b"PATH": b"/usr/bin:/bin"} if environment is None else environment,
    )
    return daemon.client.submit(request).first


def said(daemon, job):
    daemon.wait(job)
    return daemon.output(job)


def test_a_nice_job_is_nice_from_its_first_moment_and_no_other_is(daemon):
    script = "cut -d' ' -f19 /proc/$$/stat"
    nice = submit(daemon, "sh", "-c", script, nice=7)
    assert said(daemon, nice) == b"7\n"
    own = os.getpriority(os.PRIO_PROCESS, 0)
    others = [submit(daemon, "sh", "-c", script) for _ in range(5)]
    assert {said(daemon, job) for job in others} == {b"%d\n" % own}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may be as urgent as it likes")
def test_a_niceness_that_is_not_permitted_is_the_reason_why_it_did_not_start(daemon):
    job = submit(daemon, "true", nice=-5)
    daemon.wait(job)
    assert daemon.job(job).reason == "could not start: nice -5: permission denied"


def test_stdin_is_the_file_as_it_is_at_the_start(daemon, home):
    file = home / "in put"
    file.write_bytes(b"a\xff\n")
    assert said(daemon, submit(daemon, "cat", stdin=os.fsencode(file))) == b"a\xff\n"
    assert said(daemon, submit(daemon, "cat")) == b""


@pytest.mark.parametrize(
    ("name", "why"),
    [("none", "no such file or directory"), ("pipe", "is no file"), (".", "is no file")],
)
def test_a_stdin_that_cannot_be_read_is_the_reason(daemon, home, name, why):
    os.mkfifo(home / "pipe")
    path = home / name
    job = submit(daemon, "cat", stdin=os.fsencode(path))
    daemon.wait(job)
    found = daemon.job(job)
    assert found.state is State.FAILED
    assert found.reason == f"could not start: stdin: {path}: {why}"


SCRIPT = b'#!/bin/sh\necho "$#:$1:$(basename "$0")"\nstat -c %a "$0"\n'


def test_a_script_is_a_copy_that_lasts_as_long_as_its_job(daemon):
    job = submit(daemon, "dir/nightly.sh", "a  b", script=SCRIPT)
    assert said(daemon, job) == b"1:a  b:%d.nightly.sh\n700\n" % job
    wait_until(lambda: not list(daemon.paths.scripts.iterdir()))
    assert daemon.job(job).command == "dir/nightly.sh 'a  b'"
    daemon.client.restart(ids(job))
    assert said(daemon, job) == b"1:a  b:%d.nightly.sh\n700\n" % job


def test_a_script_without_a_first_line_is_one_of_the_shell(daemon):
    assert said(daemon, submit(daemon, "x", "1", script=b'echo "$1"\n')) == b"1\n"


def test_an_interpreter_that_is_not_there(daemon):
    job = submit(daemon, "x.py", script=b"#!/no/such\n")
    daemon.wait(job)
    assert daemon.job(job).reason == "could not start: x.py: its interpreter was not found"


def test_scripts_that_a_crash_left_over_are_deleted_at_the_start(make):
    daemon = make()
    left = daemon.paths.scripts / "7.left.sh"
    left.write_text("x")
    make()
    wait_until(lambda: not left.exists())


def test_a_script_has_a_key_like_a_command(daemon):
    first = submit(daemon, "x", script=b"echo 1\n", key="k")
    assert submit(daemon, "x", script=b"echo 1\n", key="k") == first
    with pytest.raises(Exception, match="another command"):
        submit(daemon, "x", script=b"echo 2\n", key="k")


def test_excluded_variables_never_reach_the_disk(make):
    daemon = make(env_exclude=["*_TOKEN", "PASS?"])
    secret = os.urandom(16).hex().encode()
    environment = {
        b"PATH": b"/usr/bin:/bin", b"A_TOKEN": secret, b"PASS1": secret, b"TOKENS": b"kept",
    }  # fmt: skip
    job = daemon.submit("env", environment=environment)
    assert b"TOKENS=kept" in said(daemon, job)
    daemon.client.restart(ids(job), environment=environment)
    assert secret not in said(daemon, job)
    assert b"PASS1" not in daemon.client.show(job, environment=True).environment
    daemon.close()
    for path in daemon.paths.state.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path


def test_a_recipe_is_all_but_what_was_meant_for_that_moment(quiet, monkeypatch):
    monkeypatch.setattr(LocalEngine, "check_options", lambda *_: None)
    request = Submit(
        commands=[Command(argv=[b"x", b"\xff"], script=b"echo\n")],
        options=Options(
            name="n", tags=["a", "b"], priority=7, hold=True, time_limit=5.0, retries=2,
            retry_delay=3.0, retry_on=[1, 2], requeue=True, nice=3, shell=b"/bin/sh",
            stdin=b"/dev/zero", progress="none", max_output=99, key="k",
            engine_options=["--mem=8G"],
        ),
        cwd=b"/usr",
    )  # fmt: skip
    recipe = quiet.client.recipe(quiet.client.submit(request).first)
    assert recipe.command == request.commands[0]
    assert recipe.cwd == b"/usr"
    expected = {name: getattr(request.options, name) for name in Options.__struct_fields__}
    assert recipe.options == Options(**{**expected, "hold": False, "key": None})


def test_filters_of_a_selection(quiet):
    long_ago = quiet.submit("old")
    quiet.client.stop(ids(long_ago))
    for name, tags, hold in (("train1", ["a"], False), ("train2", ["b"], True), ("eval", [], True)):
        request = submit_of("x", name=name)
        quiet.client.submit(
            Submit(
                commands=request.commands, cwd=b"/",
                options=Options(name=name, tags=tags, hold=hold),
            )
        )  # fmt: skip
    finished = quiet.job(long_ago).finished_at.timestamp()
    for chosen, found in (
        (Selector(name="train*"), [2, 3]),
        (Selector(tags=["a", "b"], name="*2"), [3]),
        (Selector(held=True), [3, 4]),
        (Selector(groups=["default"], held=True, tags=["b"]), [3]),
        (Selector(ended_before=finished + 1), [1]),
        (Selector(ended_before=finished - 1), []),
        (Selector(since=quiet.job(2).submitted_at.timestamp()), [2, 3, 4]),
    ):
        assert sorted(quiet.listed(selector=chosen)) == found, chosen


@pytest.mark.parametrize(
    "damage", ["UPDATE environments SET content = x'00' WHERE id = ?",
               "UPDATE environments SET content = x'78da030000000001' WHERE id = ?",
               "DELETE FROM environments WHERE id = ?"],
)  # fmt: skip
def test_a_job_whose_environment_is_damaged_does_not_run_without_one(daemon, damage):
    job = submit(daemon, "touch", "/nowhere", environment={b"A": b"1"}, hold=True)
    ((number,),) = daemon.sql("SELECT environment FROM jobs WHERE id = ?", job)
    other = submit(daemon, "true", environment={b"B": b"2"}, hold=True)
    daemon.sql(damage, number)
    with pytest.raises(StoreFailed, match=f"jobctl restart {job} --refresh-env"):
        daemon.client.show(job, environment=True)
    daemon.client.start(ids(job, other))
    daemon.wait(job, other)
    assert daemon.job(job).reason == "could not start: its environment is damaged"
    assert daemon.job(other).state is State.COMPLETED
    assert daemon.client.show(other, environment=True).environment == {b"B": b"2"}
