"""What a viewer is not told: by any field of any answer, and by any fault."""

import base64
import logging
import os
import re
import sqlite3
import threading
from contextlib import contextmanager

import msgspec
import pytest
from rpyc.core import consts

from jobd.contract import models, wire
from jobd.contract.call import Caller, Role
from jobd.contract.destinations import wish
from jobd.contract.errors import InternalError, JobdError, NotFound, NotPermitted, StoreFailed
from jobd.contract.models import (
    Command,
    Edit,
    Events,
    Groups,
    History,
    List,
    Metrics,
    Notifications,
    Options,
    Output,
    Selector,
    Show,
    Status,
    Submit,
    Wait,
    Workers,
)
from jobd.contract.states import State
from jobd.core.transitions import without_paths
from jobd.daemon.rpc.access import check
from tests.helpers import wait_until
from tests.integration.inside import ME, ids
from tests.integration.test_hostile import Raw, values

VIEWER = Caller("anna", Role.VIEWER)
ADDRESS = re.compile(r"0x[0-9a-f]{4,}|object at|\bat 0x")
SEEING = {
    List, Show, Output, Events, Wait, Status, Workers, Groups, Metrics, Notifications, History,
}  # fmt: skip
"""What a viewer may ask."""
PLACES = ["hidden-scripts", "hidden-input", "hidden-value", "hidden-line", "hidden-shell"]
PLACES += ["hidden-hook"]
"""Parts of what a viewer is not to see; the names of files are not among them."""


def asked(inside, request, caller=VIEWER):
    """The raw answer, and the view in it. Raises: JobdError."""
    raw = inside.daemon.built.server.dispatch.answer(wire.encode_request(request), caller)
    return raw, wire.decode_reply(raw, request.about.reply)


@pytest.fixture
def told(make, home):
    """A daemon whose jobs have much to hide, and the requests that look at all of them."""
    inside = make(workers=4, metrics={"textfile": str(home)})
    inputs = home / "hidden-input"
    inputs.mkdir()
    (inputs / "in").write_text("x")
    scripts = os.fsencode(home / "hidden-scripts")
    here, gone = os.fsencode(inputs / "in"), os.fsencode(inputs / "gone: at all")
    script = b"#!/bin/sh\n# hidden-line\nexec sleep 1000"
    for argv, content, options in (
        ([scripts + b"/night.sh", b"--fast"], script, {"stdin": here}),
        ([scripts + b"/odd\xff.sh"], b"#!/bin/sh\n# hidden-line\nexit 3\n", {"retries": 0}),
        ([scripts + b"/none.py"], b"#!/no/such\n# hidden-line\n", {}),
        ([scripts + b"/late.sh"], script, {"hold": True, "stdin": gone}),
        ([b"cat"], b"", {"stdin": gone}),
        ([b"cat"], b"", {"stdin": os.fsencode(inputs)}),
        ([b"true"], b"", {"shell": b"/usr/bin/hidden-shell", "nice": 7}),
    ):
        inside.client.submit(
            Submit(
                commands=[Command(argv=argv, script=content)], options=Options(**options), cwd=b"/",
                environment={b"PATH": b"/usr/bin:/bin", b"TOKEN": b"hidden-value"},
            )
        )  # fmt: skip
    inside.wait(2, 3, 5, 6, 7)
    wait_until(lambda: inside.job(1).state is State.RUNNING)
    hook = wish("echo hidden-hook >&2; exit 1")
    inside.client.edit(Edit(id=4, name="later", notify=[hook]))
    inside.client.restart(ids(5))
    inside.wait(5)
    missing = Command(argv=[scripts + b"/none.py"], script=b"#!/no/such\n")
    inside.client.submit(
        Submit(commands=[missing], options=Options(notify=[hook]), cwd=b"/", environment={})
    )
    wait_until(lambda: inside.client.status().notifications_failing)
    return inside


def requests():
    """Each of a viewer's, asking for all that it may; an environment is refused outright."""
    found = [
        List(), List(selector=Selector(ids=[(2, 5)])),
        *(Show(id=job, recipe=True) for job in range(1, 8)),
        *(Output(id=job) for job in range(1, 8)), Output(id=5, attempt=1),
        Events(after=0), Events(after=0, selector=ids(5)), Events(),
        Wait(selector=ids(3)), Wait(selector=ids(2, 3, 5, 6)), Wait(selector=ids(5, 1), any=True),
        Status(), Status(sizes=True), Workers(), Groups(), Metrics(), History(), Notifications(),
    ]  # fmt: skip
    assert {type(request) for request in found} == SEEING
    return found


def test_every_request_of_a_viewer_is_tried():
    assert {kind for kind in wire.REQUESTS.values() if kind.about.viewer} == SEEING
    for request in requests():
        check(VIEWER, request)


def test_no_answer_tells_what_is_not_a_viewers(told):
    shown = dict.fromkeys(PLACES, 0)
    for request in requests():
        raw, _ = asked(told, request)
        for place in PLACES:
            assert place.encode() not in raw, request
        owner, _ = asked(told, request, ME)
        for place in PLACES:
            shown[place] += place.encode() in owner
    # All of it is there to be seen, but for the environment, which has to be asked for.
    assert {place for place, times in shown.items() if not times} == {"hidden-value"}


def test_a_viewer_sees_the_job_all_the_same(told):
    _, page = asked(told, List())
    seen, own = ({job.id: job for job in p.jobs} for p in (page, told.client.list(List())))
    assert seen[1].command == "night.sh --fast"
    assert seen[1].argv == ["night.sh", "--fast"]
    assert base64.b64decode(seen[2].argv_b64[0]) == b"odd\xff.sh"
    assert seen[3].reason == "could not start: its interpreter was not found"
    assert seen[5].reason == "could not start: stdin: no such file or directory"
    assert seen[6].reason == "could not start: stdin: is no file"
    hidden = {"command", "argv", "argv_b64", "reason", "wait_s", "run_s"}
    for job, found in seen.items():
        for key in set(found.__struct_fields__) - hidden:
            assert getattr(found, key) == getattr(own[job], key), key


def test_no_recipe_and_no_environment(told):
    _, shown = asked(told, Show(id=1, recipe=True))
    assert shown.recipe is shown.environment is None
    assert asked(told, Show(id=1, recipe=True), ME)[1].recipe is not None
    with pytest.raises(NotPermitted, match="may not see environments"):
        asked(told, Show(id=1, environment=True))


def test_the_output_of_what_could_not_start_names_no_input(told):
    """It lies in a file that viewers read as it is."""
    assert told.output(5) == b"jobd: could not start: stdin: no such file or directory\n"
    assert told.output(3) == b"jobd: could not start: its interpreter was not found\n"
    assert "hidden-input/gone: at all: no such file" in told.job(5).reason


def test_where_the_files_of_the_daemon_lie_is_no_viewers_business(told):
    raw, status = asked(told, Status(sizes=True))
    assert str(told.paths.state).encode() not in raw
    own = told.client.status()
    assert (status.pid, status.jobs, status.workers) == (own.pid, own.jobs, own.workers)
    assert own.database == str(told.paths.database)


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("exit code 1", "exit code 1"),
        ("could not start: stdin: /a: b\n/c: is no file", "could not start: stdin: is no file"),
        ("could not start: stdin: is no file", "could not start: stdin: is no file"),
        ("could not start: /x/y: permission denied", "could not start: permission denied"),
        ("could not start: internal error, see jobd log", None),
        ("could not start: its record is damaged", None),
        ("dependency failed: 7", None),
    ],
)
def test_reasons(reason, left):
    assert without_paths(reason) == (left or reason)


# --- faults -------------------------------------------------------------------------------------


@contextmanager
def failing(monkeypatch, owner, method, error):
    def fail(*_arguments, **_options):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, fail)
        yield


def said(inside, request, caller=VIEWER):
    with pytest.raises(JobdError) as caught:
        asked(inside, request, caller)
    return caught.value


@pytest.mark.parametrize(
    "request_", [List(), Show(id=1), Output(id=1), Events(after=0), Wait(selector=ids(1))]
)
def test_a_fault_of_the_store_is_the_owners_to_know(quiet, monkeypatch, caplog, request_):
    quiet.submit("true")
    reader = quiet.daemon.built.ground.reader
    error = sqlite3.DatabaseError(f"malformed: {object()}")
    with monkeypatch.context() as patch:
        patch.setattr(reader._connections, "_opened", lambda: _Broken(error))
        reader.close()
        found, own = said(quiet, request_), said(quiet, request_, ME)
    assert isinstance(found, StoreFailed)
    assert found.message == "jobd cannot answer that just now; its owner sees why: jobd log"
    assert str(quiet.paths.database) in own.message
    assert f"a request of anna failed: {own.message}" in caplog.text


class _Broken:
    """A connection that can do nothing."""

    def __init__(self, error):
        self._error = error

    def execute(self, *_):
        raise self._error

    def close(self):
        pass


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "ulimit -v"), (RuntimeError("can't start new thread"), "no further thread")],
)
def test_what_the_machine_refuses_is_said_in_words(quiet, monkeypatch, error, words):
    with failing(monkeypatch, quiet.daemon.built.ground.reader, "parents", error):
        quiet.submit("true")
        found = said(quiet, List())
    assert not isinstance(found, InternalError)
    assert words in found.message


def test_a_defect_shows_nothing_of_itself(quiet, monkeypatch, caplog):
    error = RuntimeError(f"/home/me/.local: {object()}")
    with failing(monkeypatch, quiet.daemon.built.ground.reader, "parents", error):
        quiet.submit("true")
        found = said(quiet, List())
    assert isinstance(found, InternalError)
    assert found.message == "internal error in the daemon; see: jobd log"
    assert "/home/me/.local: <object object at 0x" in caplog.text


def test_trouble_of_the_daemon_is_told_without_its_words(quiet):
    # The trouble of the writer would be over with its next commit.
    quiet.daemon.built.sweep._damage = (
        f"the database {quiet.paths.database} was deleted: {object()}"
    )
    assert asked(quiet, Status())[1].error == "a fault that its owner sees: jobd status"
    assert str(quiet.paths.database) in quiet.client.status().error


def test_an_output_that_is_gone(daemon):
    job = daemon.submit("echo x")
    daemon.wait(job)
    daemon.paths.output_of(job, 1).unlink()
    found = said(daemon, Output(id=job))
    assert isinstance(found, NotFound)
    assert found.message == f"the output of job {job} is gone (attempt 1)"


def test_a_job_whose_start_breaks_down_says_no_address(daemon, monkeypatch, caplog):
    error = TypeError(f"unexpected {object()}")
    with failing(monkeypatch, daemon.daemon.built.ground.engines.default, "start", error):
        job = daemon.submit("true")
        daemon.wait(job)
    assert daemon.job(job).reason == "could not start: internal error, see jobd log"
    assert "unexpected <object object at 0x" in caplog.text


ODD = {
    "no such handler": (99, values(b"x")),
    "too many arguments": (consts.HANDLE_CALL, values(b"x", b"y")),
    "not bytes": (consts.HANDLE_CALL, values(7)),
    "a reference": (consts.HANDLE_CALL, (consts.LABEL_REMOTE_REF, ("x", 1, 1))),
    "an argument of closing": (consts.HANDLE_CLOSE, values(1, 2, 3)),
    "nothing": (consts.HANDLE_CALL, values()),
}


@pytest.mark.parametrize("message", ODD.values(), ids=ODD)
def test_what_is_no_request_gets_no_address_and_no_name_of_ours(quiet, caplog, message):
    caplog.set_level(logging.WARNING)
    with Raw(quiet.paths.socket) as raw:
        raw.request(*message)
        answer = raw.answer()
    assert not ADDRESS.search(repr(answer))
    assert "_Protocol" not in repr(answer)
    wait_until(lambda: "no request" in caplog.text or "was ended" in caplog.text)


def test_texts_about_a_field_speak_of_that_field_alone(quiet):
    for body in ({"id": "x"}, {"id": 0}, {"unknown": 1}, {"id": 1, "recipe": 7}, [], b"\xff"):
        envelope = wire.Envelope(
            protocol=wire.PROTOCOL, version=wire.VERSION, name="show",
            body=msgspec.Raw(msgspec.msgpack.encode(body)),
        )  # fmt: skip
        raw = quiet.daemon.built.server.dispatch.answer(msgspec.msgpack.encode(envelope), VIEWER)
        with pytest.raises(JobdError) as caught:
            wire.decode_reply(raw, models.Shown)
        assert caught.value.message.startswith("show: ")
        assert not ADDRESS.search(caught.value.message)


# --- retention ----------------------------------------------------------------------------------


def test_what_a_viewer_waits_for_is_not_kept(make):
    """Nor does it wake anybody when it has waited."""
    inside = make(workers=1, retention={"max_jobs": 1})
    running = inside.submit("exec sleep 1000")
    done = [inside.submit("true") for _ in range(5)]
    request = Wait(selector=Selector(ids=[(running, done[-1])]), wait=wire.MAX_WAIT)
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(asked(inside, request)[1]), daemon=True
    )
    waiting.start()
    wait_until(lambda: inside.daemon.built.ground.notifier._single)
    assert not inside.daemon.built.ground.notifier.awaited(running)
    inside.client.workers(2)
    wait_until(lambda: sorted(inside.listed()) == [running, done[-1]])
    assert waiting.is_alive()
    inside.client.stop(ids(running))
    waiting.join()
    assert answers[0].done
    assert answers[0].counts[State.STOPPED] == 1
