"""Lines for the journal: fields as its protocol has them, and none that is lost."""

import logging
import os
import socket
import struct
from contextlib import suppress

import pytest

from jobd.system import journal


def test_a_value_of_one_line_stands_behind_its_name():
    assert journal.encoded({"MESSAGE": "a=b", "JOBD_JOB": "7"}) == b"MESSAGE=a=b\nJOBD_JOB=7\n"


def test_a_value_of_several_lines_stands_behind_its_length():
    assert journal.encoded({"MESSAGE": "a\nb"}) == b"MESSAGE\n" + struct.pack("<Q", 3) + b"a\nb\n"


def record(text, *args, level=logging.WARNING):
    return logging.LogRecord("jobd.x", level, "x.py", 1, text, args, None)


def test_a_record_has_its_fields(tmp_path):
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        handler = journal.Journal(lambda _: {"job": 7, "user": "anna"}, path)
        handler.handle(record("job %d: %s", 7, "no"))
        lines = sock.recv(1000).decode().splitlines()
        handler._socket.close()
    assert lines == [
        "MESSAGE=job 7: no", "PRIORITY=4", "SYSLOG_IDENTIFIER=jobd", "LOGGER=jobd.x",
        "JOBD_JOB=7", "JOBD_USER=anna",
    ]  # fmt: skip


def test_without_a_journal_the_line_goes_to_stderr(tmp_path, capfd):
    handler = journal.Journal(lambda _: {}, str(tmp_path / "none"))
    handler.handle(record("words"))
    handler._socket.close()
    assert capfd.readouterr().err == "words\n"


def test_a_journal_that_hangs_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_PATIENCE_S", 0.01)
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        handler = journal.Journal(lambda _: {}, path)
        with suppress(TimeoutError):
            while handler._socket.sendto(b"x", path):
                pass
        handler.handle(record("words"))
        handler._socket.close()
        assert sock.recv(1000) == b"x"


def test_what_is_far_too_long_is_cut():
    assert len(journal.encoded({"MESSAGE": "x" * 1_000_000})) < 100_000


@pytest.mark.parametrize(("shift", "ours"), [(0, True), (1, False)])
def test_stderr_is_known_by_its_file(shift, ours):
    found = os.fstat(2)
    environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + shift}"}
    assert journal.takes_our_stderr(environ) is ours
    assert not journal.takes_our_stderr({})
