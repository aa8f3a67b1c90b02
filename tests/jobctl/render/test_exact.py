"""What scripts read is the same value, byte for byte where that is promised, whatever is in it."""

import csv
import io
import json

import pytest

from jobctl.render import data
from jobd.contract.models import DaemonStatus, Page, Piece, Shown
from jobd.contract.states import State
from tests.jobctl.fakes import FakeClient, job, jobctl
from tests.jobctl.hostile import HOSTILE


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", HOSTILE)
def test_json_is_the_same_value(text, terminal):
    listed = job(1, name=text, command=text, argv=[text])
    client = FakeClient(
        list=Page(jobs=[listed]), show=Shown(job=listed, attempts=[], events=[], why=text),
        status=DaemonStatus(log=text),
    )  # fmt: skip
    (found,) = json.loads(jobctl("ls", "--json", client=client, terminal=terminal).out)
    assert (found["name"], found["argv"]) == (text, [text])
    line = jobctl("ls", "--format", "ndjson", client=client, terminal=terminal).out
    assert json.loads(line)["command"] == text
    assert json.loads(jobctl("show", "1", "--json", client=client, terminal=terminal).out) == {
        **json.loads(line),
        "why": text,
        "attempts": [],
        "events": [],
    }
    assert json.loads(jobctl("status", "--json", client=client).out)["log"] == text


def test_json_is_told_to_a_terminal_in_its_encoding(monkeypatch):
    """In Latin-1 the second byte of these letters in UTF-8 is an order (CSI)."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="backslashreplace")
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", stream)
    data.record({"name": "ěÛ"})
    assert stream.buffer.getvalue() == b'{"name":"\\u011b\xdb"}\n'


def test_json_keeps_what_can_be_read():
    listed = job(1, name="größer 中文")
    out = jobctl("ls", "--json", client=FakeClient(list=Page(jobs=[listed]))).out
    assert '"name":"größer 中文"' in out


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_is_the_same_value(text):
    client = FakeClient(list=Page(jobs=[job(1, name=text), job(2, name=f"a\r{text}")]))
    out = jobctl("ls", "--format", "csv", "--columns", "name,id", client=client).out
    rows = list(csv.reader(io.StringIO(out, newline=""), strict=True))
    assert rows == [["name", "id"], [text, "1"], [f"a\r{text}", "2"]]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_path_and_an_environment_are_exact_where_piped(text):
    piece = Piece(
        id=1, attempt=1, data=b"", offset=0, ended=True, state=State.COMPLETED, path=text or "/"
    )
    raw = text.encode() + b"\xff"
    shown = Shown(job=job(), attempts=[], events=[], environment={b"A": raw})
    client = FakeClient(output=piece, show=shown)
    assert jobctl("logs", "--path", "1", client=client).out == f"{text or '/'}\n"
    assert jobctl("show", "1", "--env", client=client).stdout == b"A=" + raw + b"\n"


def test_on_a_terminal_a_variable_is_one_line():
    shown = Shown(job=job(), attempts=[], events=[], environment={b"A": b"1\nB=2\x1b[2J\xff"})
    client = FakeClient(show=shown)
    assert jobctl("show", "1", "--env", client=client, terminal=True).out == (
        "A=1\\nB=2\\x1b[2J\ufffd\n"
    )


def test_output_is_the_jobs_own_byte_for_byte():
    data = b"\x1b[31mred\x1b[0m\xff\x9b\r\n"
    piece = Piece(
        id=1, attempt=1, data=data, offset=0, ended=True, state=State.COMPLETED, path="/x"
    )
    client = FakeClient(output=piece)
    assert jobctl("logs", "1", client=client, terminal=True).stdout == data
