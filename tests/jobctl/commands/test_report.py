"""`jobctl report`: one file that needs nothing else."""

import os
import re
import sys
from html.parser import HTMLParser
from importlib import metadata, util

import pytest

from jobd.contract.models import History, HistoryPage, List, Page, WorkersReply
from tests.jobctl.actions.test_history import ended
from tests.jobctl.fakes import FakeClient, job, jobctl

EVIL = '<script>alert("x")</script>\x1b[2J&'


def a_client(*attempts, jobs=()):
    return FakeClient(
        history=HistoryPage(attempts=list(attempts)),
        list=Page(jobs=list(jobs)),
        workers=WorkersReply(workers=3, busy=0),
    )


def written(tmp_path, *words, client=None):
    path = tmp_path / "r.html"
    result = jobctl("report", str(path), *words, client=client or a_client(ended()))
    assert result.code == 0, result.stderr
    return path.read_text("utf-8")


class _Tags(HTMLParser):
    VOID = ("meta", "rect", "line", "path")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page):
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def test_it_needs_no_network_no_script_and_no_other_file(tmp_path):
    page = written(tmp_path)
    tags = parsed(page)
    assert not {"script", "link", "img", "iframe"} & tags.seen
    assert tags.links == []
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_what_users_wrote_is_text(tmp_path):
    failed = ended(2, name=EVIL, state="failed", cause=EVIL)
    page = written(tmp_path, "--name", EVIL[:30], client=a_client(failed))
    assert "alert" in page
    assert "<script>" not in page
    assert "\x1b" not in page
    parsed(page)


def test_numbers_are_those_of_history(tmp_path):
    page = written(tmp_path, client=a_client(ended(1), ended(2, state="failed", cause="lost")))
    assert "<b>1 (50%)</b>" in page
    assert "job 2: failed, 10s" in page


def test_what_waits_now_is_asked_for_only_where_it_is_meant(tmp_path):
    client = a_client(ended(), jobs=[job(3, "pending")])
    page = written(tmp_path, "--group", "g", "--user", "anna", client=client)
    assert '<b>1</b><span class="soft">wait now' in page
    selector, request = client.of(List)[0].selector, client.of(History)[0]
    assert selector.groups == request.groups == ["g"]
    assert selector.users == request.users == ["anna"]
    client = a_client(ended())
    assert "wait now" not in written(tmp_path, "--until", "2026-02-01", client=client)
    assert client.of(List) == []


def test_of_nothing_it_says_so(tmp_path):
    assert "Nothing has finished" in written(tmp_path, client=a_client())


def test_the_library_leaves_nothing_behind(tmp_path):
    written(tmp_path)
    assert not [found for found in sys.meta_path if type(found).__module__ == "pygal"]
    assert metadata.version("click")


def test_a_dash_is_stdout():
    result = jobctl("report", "-", client=a_client(ended()))
    assert result.out.startswith("<!doctype html>")
    assert result.stderr == ""


def test_the_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "r.html"
    path.write_text("before")
    umask = os.umask(0o027)
    try:
        written(tmp_path)
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / f"{'報' * 80}.html"
    assert jobctl("report", str(path), client=a_client(ended())).code == 0
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_ctrl_c_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    assert jobctl("report", str(tmp_path / "r.html"), client=a_client(ended())).code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["no/such/r.html", "", "."])
def test_where_nothing_can_be_written(tmp_path, place):
    result = jobctl("report", str(tmp_path / place), client=a_client(ended()))
    assert (result.code, "cannot write" in result.stderr) == (1, True), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_libraries_that_are_not_there_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "pygal" else name)
    client = a_client(ended())
    result = jobctl("report", str(tmp_path / "r.html"), client=client)
    assert (result.code, client.sent) == (1, [])
    assert (
        "needs pygal, which is not installed: pip install 'jobctl-queue[report]'" in result.stderr
    )
