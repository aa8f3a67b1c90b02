"""Where a configuration comes from, and its keys by their names."""

import json

import pytest
from msgspec.structs import replace

from jobd.contract import configured
from jobd.contract.config import Config, from_builtins
from jobd.contract.configured import Configured, Origin, keys_of, read, settings_of, shown
from jobd.contract.errors import BadRequest, JobdError

FILE = """
[daemon]
workers = 2
grace = "1m"

[groups.bare]

[groups.gpu]
workers = 1

[[notify]]
command = "true"

[[notify]]
name = "ops"
urls = ["json://user:hidden-word@localhost"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def test_each_key_has_a_name_and_a_value(file):
    found = keys_of(read(file, Origin()).config)
    assert (found["daemon.workers"], found["daemon.grace"], found["gpus.devices"]) == (2, 60, [])
    assert (found["groups.bare"], found["groups.gpu.workers"]) == ({}, 1)
    assert found["notify[notify 1].command"] == "true"
    assert found["notify[ops].on"] == ["completed", "failed", "stopped"]
    assert "notify[ops].retries" not in found
    json.dumps(found)


def test_an_option_counts_more_than_the_file_and_that_more_than_the_default(file):
    found = read(file, Origin(workers=7))
    assert found.config.daemon.workers == 7
    keys = ("daemon.workers", "daemon.grace", "daemon.shell", "groups.gpu.workers")
    assert [found.source(key) for key in keys] == ["option", "file", "default", "file"]
    assert found.source("notify[ops].urls") == "file"


def test_the_file_that_was_named_is_read_instead_of_the_usual_one(file, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text("[daemon]\nworkers = 9\n")
    assert read(file, Origin(file=str(other))).config.daemon.workers == 9
    other.unlink()
    with pytest.raises(BadRequest, match="does not exist"):
        read(file, Origin(file=str(other)))
    file.unlink()
    assert read(file, Origin()) == Configured(config=Config())


def test_what_is_wrong_has_its_line_and_its_key(file):
    file.write_text(FILE.replace('grace = "1m"', "grace = true"))
    with pytest.raises(JobdError, match=r"line 4: \[daemon\] grace: must be text such as 30d"):
        read(file, Origin())


def test_of_a_url_and_of_a_password_no_more_is_shown_than_that_they_are_there(file):
    file.write_text(FILE + '[engine.far]\napi_token = "hidden-word"\nhost = "there"\n')
    config = read(file, Origin()).config
    told = settings_of(config, {}, Config(), {})
    assert "hidden-word" not in repr(told)
    values = {one.key: one.value for one in told}
    assert values["notify[ops].urls"] == ["json://…"]
    assert (values["engine.far.api_token"], values["engine.far.host"]) == ("…", "there")
    assert shown("daemon.workers", 3) == 3


def test_it_is_the_same_behind_a_way_as_json(file):
    found = read(file, Origin(start="x", workers=7))
    assert configured.from_plain(json.loads(json.dumps(configured.to_plain(found)))) == found
    alone = configured.from_plain({"config": {"daemon": {"workers": 4}}})
    assert alone == Configured(config=from_builtins({"daemon": {"workers": 4}}))


def test_what_waits_for_the_next_daemon_is_told_beside_what_holds():
    later = replace(Config(), gpus=replace(Config().gpus, devices=[1]))
    (one,) = [s for s in settings_of(Config(), {}, later, {}) if s.key == "gpus.devices"]
    assert (one.value, one.after_restart) == ([], [1])
    (hand,) = [
        s for s in settings_of(Config(), {}, Config(), {"daemon.workers": 8})
        if s.key == "daemon.workers"
    ]  # fmt: skip
    assert (hand.value, hand.source) == (8, "command")
