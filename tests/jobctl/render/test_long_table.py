"""A table of very many jobs: as wide as the widest of all, and no more in memory than of few."""

import os
import sys
import tempfile

import pytest

from jobctl.render import spool as module
from jobctl.render import table as module_of_tables
from jobctl.render.spool import Spool
from jobd.contract.errors import JobdError
from jobd.contract.models import Page
from tests.jobctl.fakes import FakeClient, job, jobctl


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3)


def table(jobs, *words):
    return jobctl("ls", *words, client=FakeClient(list=Page(jobs=jobs))).out


NAMES = ["", "short", "", "", "日本語のとても長い名前", "a", "b", "the-longest-of-all", "", "c"]
JOBS = [job(number, name=name, command=f"echo {number}") for number, name in enumerate(NAMES, 95)]


@pytest.mark.parametrize("count", range(len(JOBS) + 1))
@pytest.mark.parametrize("words", [(), ("--columns", "id,state,name"), ("--columns", "name,id")])
def test_it_is_the_same_whatever_is_in_memory_at_a_time(count, words, monkeypatch):
    in_pieces = table(JOBS[:count], *words)
    monkeypatch.setattr(module, "CHUNK", 1000)
    assert in_pieces == table(JOBS[:count], *words)
    assert len(in_pieces.splitlines()) == count + 1


def test_only_a_chunk_of_rows_is_in_memory():
    spool, most = Spool(["ID"]), 0
    for number in range(1000):
        spool.add([str(number)])
        most = max(most, len(spool._new))
    chunks = list(spool.chunks())
    assert most < 3
    assert max(map(len, chunks)) == 3
    assert [row for chunk in chunks for row in chunk] == [[str(number)] for number in range(1000)]
    descriptor = spool._file.fileno()
    spool.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_an_empty_name_in_the_last_row_is_a_row():
    assert len(table([job(1, name="x"), job(2, name=" ")], "--columns", "name").splitlines()) == 3


def test_where_there_is_no_room_that_is_said(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b"))  # noqa: SIM115 # the spool closes it
    spool = Spool(["ID"])
    with pytest.raises(JobdError, match=r"no room .*: No space left on device; --format csv"):
        spool.add(["1"])
    spool.close()
    assert spool._file.closed


def calls_of(jobs):
    """How many functions are called, in Python and in C, to show them."""
    counted = [0]

    def count(_frame, event, _arg):
        counted[0] += event in ("call", "c_call")

    pages = [Page(jobs=jobs)]
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        module_of_tables.whole(pages)
    finally:
        sys.setprofile(before)
    return counted[0]


def test_a_row_takes_few_calls(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1000)
    jobs = [job(number, name="", command=f"echo {number}") for number in range(1001, 2301)]
    calls_of(jobs[:1])  # what is imported
    assert (calls_of(jobs) - calls_of(jobs[:300])) / 1000 < 65
