"""`reload` and `configuration`: what counts at once, what holds; a wrong file changes nothing."""

import importlib.util
import sqlite3
import threading

import pytest

from jobd.contract import wire
from jobd.contract.call import Caller, Role
from jobd.contract.errors import JobdError, NotPermitted
from jobd.contract.models import Configuration, Holding, Reload, Reloaded
from jobd.engines import configuration
from jobd.store.settings import CONFIGURATION
from tests.helpers import wait_until
from tests.integration.inside import submit_of


@pytest.fixture
def daemon(make):
    return make(workers=1)


def reload(daemon, text):
    """What is told of each key, and when that counts."""
    daemon.paths.config.write_text(text)
    return {change.key: change.counts for change in daemon.client.reload().changes}


def holding(daemon):
    return {one.key: one for one in daemon.client.configuration().settings}


def test_what_can_counts_at_once(daemon):
    gate = daemon.submit("sleep 0.2")
    waiting = daemon.submit("true")
    told = reload(
        daemon,
        '[daemon]\nworkers = 3\ngrace = 7\nenv_exclude = ["HIDE_*"]\nmax_output = 6\n'
        "[groups.gpu]\nworkers = 2\n[gpus]\ndevices = [0]\n",
    )
    assert {key for key, when in told.items() if when == "restart"} == {"gpus.devices"}
    assert daemon.client.workers(None).workers == 3
    groups = {one.name: one.workers for one in daemon.client.groups().groups}
    assert groups == {"default": None, "gpu": 2}
    assert daemon.daemon.built.execution.stop_orders.by_user(15, None).grace == 7
    environment = {b"PATH": b"/usr/bin:/bin", b"HIDE_ME": b"1"}
    long = daemon.client.submit(
        submit_of("echo 0123456789 $HIDE_ME; sleep 0.7", environment=environment)
    ).first
    daemon.wait(gate, waiting, long)
    assert daemon.output(waiting) == b""
    assert b"1\n" not in daemon.output(long)[-3:]
    assert daemon.job(gate).attempt == 1


def test_a_wrong_file_changes_nothing(daemon, monkeypatch):
    """Also one by which no daemon could go here."""
    for where in (configuration, importlib.util):
        monkeypatch.setattr(where, "find_spec", lambda _: None)
    before = holding(daemon)
    for text, said in (
        ("[daemon]\nworkers = true\n", r"config\.toml, line 2: \[daemon\] workers: must be"),
        ("[daemon]\nworkers = 7\nno\n", "line 3"),
        ("[daemon]\nworkers = 7\nengine = 'none'\n", "engine: there is no 'none'"),
        ("[daemon]\nworkers = 7\n[metrics]\nlisten = '127.0.0.1:1'\n", "needs a package"),
        ("[daemon]\nworkers = 7\n[[notify]]\nurls = ['json://h']\n", "Apprise, which"),
    ):
        daemon.paths.config.write_text(text)
        with pytest.raises(JobdError, match=said):
            daemon.client.reload()
    assert holding(daemon) == before
    assert daemon.client.workers(None).workers == 1
    assert daemon.sql("SELECT value FROM settings WHERE name = ?", CONFIGURATION) == []


def test_what_cannot_be_saved_does_not_count(daemon, monkeypatch):
    def fails(*_, **__):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(daemon.daemon.built.verbs.groups, "configure", fails)
    daemon.paths.config.write_text("[daemon]\nworkers = 7\n[groups.a]\nworkers = 1\n")
    with pytest.raises(JobdError, match="could not be saved"):
        daemon.client.reload()
    assert daemon.client.workers(None).workers == 1
    assert holding(daemon)["daemon.workers"].value == 1


def test_a_command_holds_until_the_file_says_something_new(daemon):
    reload(daemon, "[daemon]\nworkers = 2\n[groups.gpu]\nworkers = 1\n")
    daemon.client.workers(5)
    assert reload(daemon, "[daemon]\nworkers = 2\ngrace = 1\n[groups.gpu]\nworkers = 1\n") == {
        "daemon.grace": "now"
    }
    found = holding(daemon)
    assert daemon.client.workers(None).workers == 5
    assert (found["daemon.workers"].value, found["daemon.workers"].source) == (5, "command")
    assert (found["daemon.grace"].source, found["daemon.shell"].source) == ("file", "default")
    assert reload(daemon, "[daemon]\nworkers = 4\n")["groups.gpu.workers"] == "never"
    assert daemon.client.workers(None).workers == 4
    assert [one.workers for one in daemon.client.groups().groups if one.name == "gpu"] == [1]


def test_what_waits_for_the_next_daemon_is_told_each_time_until_then(daemon):
    text = "[gpus]\ndevices = [0, 1]\n"
    assert reload(daemon, text)["gpus.devices"] == "restart"
    assert reload(daemon, text)["gpus.devices"] == "restart"
    found = holding(daemon)["gpus.devices"]
    assert (found.value, found.source, found.after_restart) == ([], "default", [0, 1])


def test_the_first_rule_may_come_by_a_reload_and_the_last_one_go(daemon, tmp_path):
    daemon.wait(daemon.submit("false"))
    told = tmp_path / "told"
    rule = f"[daemon]\nworkers = 1\n[[notify]]\ncommand = 'echo $JOBD_JOB_ID >>{told}'\n"
    assert set(reload(daemon, rule)) == {"notify[notify 1].on", "notify[notify 1].command"}
    second = daemon.submit("false")
    wait_until(lambda: told.exists() and told.read_text() == f"{second}\n")
    reload(daemon, "[daemon]\nworkers = 1\n")
    telling = daemon.daemon.built.telling
    wait_until(lambda: not telling.history.concerns)
    daemon.wait(daemon.submit("false"))
    # It comes and goes: never is it lost that there is one now.
    for _ in range(5):
        reload(daemon, "[daemon]\nworkers = 1\n")
        reload(daemon, rule)
    last = daemon.submit("false")
    wait_until(lambda: told.read_text() == f"{second}\n{last}\n")


def test_a_viewer_neither_sees_nor_reloads_it(daemon):
    for request, kind in ((Reload(), Reloaded), (Configuration(), Holding)):
        answer = daemon.daemon.built.server.dispatch.answer(
            wire.encode_request(request, b"0123456789abcdef"), Caller("v", Role.VIEWER)
        )
        with pytest.raises(NotPermitted):
            wire.decode_reply(answer, kind)


def test_many_at_once_end_with_what_the_file_says_and_touch_no_job(daemon):
    """Under load; the number of workers, limits and rules change all the time."""
    jobs = [daemon.submit("true") for _ in range(5)]
    stop, failures = threading.Event(), []

    def load():
        client = daemon.connect()
        try:
            while not stop.is_set():
                jobs.append(client.submit(submit_of("true")).first)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one too many
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        reload(
            daemon,
            f"[daemon]\nworkers = {number % 4 + 1}\ngrace = {number}\n[groups.g{number % 3}]\n"
            f"workers = {number % 5}\n[[notify]]\non = ['lost']\ncommand = 'true {number}'\n",
        )
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    daemon.wait(*jobs)
    assert holding(daemon)["daemon.grace"].value == 29
    assert {daemon.job(job).attempt for job in jobs} == {1}
    assert daemon.sql("SELECT COUNT(*) FROM attempts") == [(len(jobs),)]


def test_a_reload_that_is_asked_again_is_answered_alike(daemon):
    daemon.paths.config.write_text("[daemon]\nworkers = 7\n")
    first = daemon.ask(Reload(), b"0123456789abcdef")
    assert daemon.ask(Reload(), b"0123456789abcdef") == first
