"""`submit --notify` and `--notify-when-all`: kept with the jobs, told once, and no URL is shown."""

import json

import pytest
from msgspec import structs

from jobctl.cli import run
from jobd.contract.destinations import Destination, Scope, WhenAll, Wish, shell_line, wish
from jobd.contract.errors import BadRequest, JobdError
from jobd.contract.models import Edit, Graph, Node, Submit
from jobd.contract.states import Occasion
from jobd.store import delivery_reader
from jobd.store.records import gathering_decoder
from tests.helpers import wait_until
from tests.integration.inside import ids, submit_of
from tests.integration.test_notifications import Told, latest

SECRET = "json://user:hidden-word@127.0.0.1:1/hidden-token"


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path / "told")


def asked(*lines, notify=(), when_all=(), **options):
    request = submit_of(*lines)
    options = structs.replace(request.options, notify=[*notify], **options)
    return structs.replace(request, options=options, when_all=[*when_all])


def listens(daemon):
    return daemon.daemon.built.telling.history.concerns


def test_whoever_submits_is_told_of_the_ends_that_were_asked_for(daemon, told):
    failed = wish(f"failed:{told.command}")
    first = daemon.client.submit(asked("true", "exit 3", notify=[failed])).first
    other = daemon.submit("exit 4")
    (message,) = told.await_all(1)
    assert (message["id"], message["exit_code"]) == (first + 1, 3)
    assert message["notification"]["rule"] == "--notify"
    daemon.wait(other)
    wait_until(lambda: latest(daemon)[0].state == "delivered")
    assert len(latest(daemon)) == 1


def test_a_command_runs_in_the_directory_and_environment_of_its_job(daemon, told, tmp_path):
    request = asked("true", notify=[wish(f"pwd >where; {told.command}")])
    request = structs.replace(
        request, cwd=str(tmp_path).encode(), environment={b"PATH": b"/usr/bin:/bin", b"MINE": b"x"}
    )
    daemon.client.submit(request)
    (message,) = told.await_all(1)
    assert (tmp_path / "where").read_text() == f"{tmp_path}\n"
    variables = told.variables(message)
    assert variables["MINE"] == "x"
    assert "HOME" not in variables


def test_once_the_last_such_job_is_removed_nobody_listens_any_more(daemon, told):
    assert not listens(daemon)
    job = daemon.client.submit(asked("true", notify=[wish(told.command)])).first
    wait_until(lambda: listens(daemon))
    told.await_all(1)
    daemon.wait(job)
    assert daemon.client.rm(ids(job)).done == [job]
    wait_until(lambda: not listens(daemon))
    other = daemon.client.submit(asked("true", notify=[wish(told.command)])).first
    assert told.await_all(2)[1]["id"] == other


def test_it_is_told_again_when_the_job_is_restarted(daemon, told):
    job = daemon.client.submit(asked("true", notify=[wish(told.command)])).first
    told.await_all(1)
    daemon.client.restart(ids(job))
    assert [message["attempt"] for message in told.await_all(2)] == [1, 2]


def test_an_array_and_a_graph_have_it_too(daemon, told):
    request = asked("true", notify=[wish(told.command)])
    array = daemon.client.submit(structs.replace(request, array=[(1, 3)])).first
    node = Node(command=request.commands[0], options=request.options, cwd=b"/")
    graph = daemon.client.graph(Graph(nodes=[node], environment=request.environment)).first
    found = {message["id"] for message in told.await_all(4)}
    assert found == {array, array + 1, array + 2, graph}


def test_one_like_it_has_it_and_an_edited_one_another(quiet, told):
    job = quiet.client.submit(asked("true", notify=[wish("failed:x")])).first
    assert quiet.client.recipe(job).options.notify == [wish("failed:x")]
    quiet.client.edit(Edit(id=job, notify=[wish(told.command), wish(SECRET)]))
    (event,) = [e for e in quiet.client.show(job).events if e.event == "edited"]
    assert json.loads(event.data["notify"])[1] == "completed,failed,stopped:json://…"
    assert "hidden" not in str(event)
    quiet.client.workers(1)
    assert told.await_all(1)[0]["id"] == job
    other = quiet.client.submit(asked("true")).first
    assert quiet.client.recipe(other).options.notify == []


def test_a_job_that_is_edited_so_is_told_of_where_nobody_listened(quiet, told):
    job = quiet.submit("true")
    assert not listens(quiet)
    quiet.client.edit(Edit(id=job, notify=[wish(told.command)]))
    quiet.client.workers(1)
    assert told.await_all(1)[0]["id"] == job


@pytest.mark.parametrize(
    ("to", "on", "wrong"),
    [
        (Destination(), ["failed"], "the command is empty"),
        (Destination(url="x://y", argv=["a"]), ["failed"], "either a URL or a command"),
        (Destination(url="no url"), ["failed"], "this is no URL"),
        (Destination(argv=["a\0b"]), ["failed"], "NUL"),
        (shell_line("true"), ["stuck"], "see \\[\\[notify\\]\\]"),
    ],
)
def test_what_nobody_can_be_told_by(quiet, to, on, wrong):
    wanted = Wish(on=[Occasion(one) for one in on], to=to)
    job = quiet.submit("true")
    for ask in (
        lambda: quiet.client.submit(asked("true", notify=[wanted])),
        lambda: quiet.client.edit(Edit(id=job, notify=[wanted])),
    ):
        with pytest.raises(BadRequest, match=f"--notify: .*{wrong}"):
            ask()
    assert quiet.client.status().jobs["pending"] == 1


def test_without_apprise_a_url_is_refused(quiet, monkeypatch):
    monkeypatch.setattr("jobd.contract.destinations.importlib.util.find_spec", lambda _: None)
    with pytest.raises(JobdError, match=r"pip install 'jobctl-queue\[notify\]'"):
        quiet.client.submit(asked("true", notify=[wish(SECRET)]))
    with pytest.raises(JobdError, match=r"pip install 'jobctl-queue\[notify\]'"):
        quiet.client.submit(asked("true", when_all=[WhenAll(to=wish(SECRET).to)]))


# --- all of it --------------------------------------------------------------------------------


def test_one_message_for_the_whole_submission_with_the_verdict(daemon, told):
    wanted = WhenAll(to=shell_line(told.command))
    request = asked("true", "echo oh no; exit 3", "true", when_all=[wanted])
    first = daemon.client.submit(request).first
    (message,) = told.await_all(1)
    said = message["notification"]
    assert (said["on"], said["exit_code"]) == ("all ended", 1)
    assert (said["counts"]["completed"], said["counts"]["failed"]) == (2, 1)
    assert said["title"] == f"all ended: 3 jobs, {first}-{first + 2} (completed: 2, failed: 1)"
    assert said["again"] == f"jobctl restart --failed {first}-{first + 2}"
    for text in (f"  job {first + 1} failed: exit code 3", "    oh no"):
        assert text in said["text"].splitlines()
    wait_until(lambda: not listens(daemon))
    assert daemon.sql("SELECT * FROM gatherings") == []


def test_of_one_job_the_verdict_is_its_exit_code(daemon, told):
    daemon.client.submit(asked("exit 7", when_all=[WhenAll(to=shell_line(told.command))]))
    assert told.await_all(1)[0]["notification"]["exit_code"] == 7


@pytest.mark.parametrize("scope", [Scope.GROUP, Scope.TAG])
def test_a_group_or_tag_is_told_of_once_nothing_of_it_is_left(make, told, scope):
    daemon = make(workers=0, groups={"g": {}})
    wanted = WhenAll(of=scope, to=shell_line(told.command))
    old = daemon.client.submit(asked("exit 9", group="g", tags=["t"])).first
    daemon.client.stop(ids(old))
    first = daemon.client.submit(asked("true", group="g", tags=["t"], when_all=[wanted])).first
    other = daemon.client.submit(asked("true", group="g", tags=["t", "u"])).first
    held = daemon.client.submit(asked("true", hold=True)).first
    daemon.client.workers(2)
    (message,) = told.await_all(1)
    said = message["notification"]
    assert {job.state for job in map(daemon.job, (first, other))} == {"completed"}
    assert daemon.job(held).state == "pending"
    assert (said["exit_code"], said["counts"]) == (0, {"completed": 2})
    assert said["title"] == f"all ended: {scope} {'g' if scope == 'group' else 't'} (completed: 2)"


@pytest.mark.parametrize("scope", [Scope.GROUP, Scope.TAG])
def test_a_job_that_is_moved_out_of_a_group_or_tag_keeps_nobody_waiting(make, told, scope):
    daemon = make(workers=0, groups={"g": {}})
    wanted = WhenAll(of=scope, to=shell_line(told.command))
    request = asked("true", group="g", tags=["t"], hold=True, when_all=[wanted])
    held = daemon.client.submit(request).first
    gatherings = daemon.daemon.built.telling.history._gatherings
    wait_until(lambda: held in gatherings._witnessed)
    other = daemon.client.submit(asked("true", group="g", tags=["t"])).first
    daemon.client.edit(Edit(id=held, group="default", tags=["u"]))
    wait_until(lambda: other in gatherings._witnessed)
    daemon.client.workers(1)
    (message,) = told.await_all(1)
    assert message["notification"]["counts"] == {"completed": 1}
    assert daemon.job(held).state == "pending"


def test_those_that_wait_cost_nothing_while_others_end(quiet, told, monkeypatch):
    """A hundred submissions that are held: each is looked at once, whatever else happens."""
    waiting = WhenAll(to=shell_line("false"))
    for _ in range(100):
        quiet.client.submit(asked("true", hold=True, when_all=[waiting]))
    looked_at = []

    class Counted:
        def decode(self, blob):
            looked_at.append(blob)
            return gathering_decoder.decode(blob)

    gatherings = quiet.daemon.built.telling.history._gatherings
    wait_until(lambda: sum(map(len, gatherings._witnessed.values())) == 100)
    monkeypatch.setattr(delivery_reader, "gathering_decoder", Counted())
    wanted = WhenAll(to=shell_line(told.command))
    quiet.client.submit(asked("true", "true", when_all=[wanted]))
    quiet.client.workers(1)
    assert told.await_all(1)[0]["notification"]["exit_code"] == 0
    wait_until(lambda: len(quiet.sql("SELECT * FROM gatherings")) == 100)
    # When it came, once more when the first of its jobs had ended, and if it was not saved at once.
    assert 1 <= len(looked_at) <= 3


def test_it_is_not_lost_with_the_daemon(make, told):
    daemon = make(workers=0)
    wanted = WhenAll(to=shell_line(told.command))
    daemon.client.submit(asked("true", "true", when_all=[wanted]))
    daemon = make(workers=0)
    wait_until(lambda: listens(daemon))
    daemon.client.workers(1)
    assert told.await_all(1)[0]["notification"]["exit_code"] == 0


def test_a_tag_is_needed(quiet):
    wanted = WhenAll(of=Scope.TAG, to=shell_line("true"))
    with pytest.raises(BadRequest, match="--notify-when-all: tag: is about jobs"):
        quiet.client.submit(asked("true", when_all=[wanted]))


# --- the command line -------------------------------------------------------------------------


@pytest.fixture
def sent(quiet, monkeypatch):
    """What a command line asks for."""
    found = []
    client = quiet.client
    request = client.request

    def keep(one, kind):
        found.append(one)
        return request(one, kind)

    monkeypatch.setattr(client, "request", keep)

    def ask(*words):
        found.clear()
        assert run([*words], client) == 0
        return next(one for one in found if isinstance(one, Submit | Graph | Edit))

    return ask


def test_as_it_is_written(sent, tmp_path):
    found = sent("submit", "--notify", "failed:mail me", "--notify", SECRET, "true")
    assert found.options.notify == [wish("failed:mail me"), wish(SECRET)]
    found = sent("submit", "--notify-when-all", "group:mail me", "true")
    assert found.when_all == [WhenAll(of=Scope.GROUP, to=shell_line("mail me"))]
    script = tmp_path / "x.sh"
    script.write_text(
        "#!/bin/sh\n#JOBCTL --notify 'mail 1'\n#JOBCTL --notify 'mail 2'\n"
        "#JOBCTL --notify-when-all 'mail 3'\n"
    )
    script.chmod(0o700)
    found = sent("submit", "--script", str(script))
    assert [one.to.label for one in found.options.notify] == ["mail 1", "mail 2"]
    assert [one.to.label for one in found.when_all] == ["mail 3"]
    manifest = tmp_path / "m.toml"
    manifest.write_text('[defaults]\nnotify = "failed:mail 4"\n[jobs.a]\ncommand = "true"\n')
    found = sent("submit", "--manifest", str(manifest), "--notify-when-all", "mail 5")
    assert [one.label for one in found.nodes[0].options.notify] == ["failed:mail 4"]
    assert [one.to.label for one in found.when_all] == ["mail 5"]
    found = sent("edit", "1", "--notify", "none")
    assert found.notify == []


def test_no_url_is_shown(quiet, capfd):
    assert run(["submit", "--notify", SECRET, "true"], quiet.client) == 0
    for words in (["show", "1"], ["show", "1", "--json"], ["ls", "--json"], ["events", "--json"]):
        assert run(words, quiet.client) == 0
    shown = capfd.readouterr()
    assert "hidden" not in shown.out + shown.err
    assert "json://…" in shown.out
    assert run(["submit", "--notify", "json://hidden word", "true"], quiet.client) == 2
    assert "hidden" not in capfd.readouterr().err
