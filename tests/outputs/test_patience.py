"""Looks at a file server that may be dead."""

import threading

import pytest

from jobd.outputs.patience import Patience


def test_what_is_seen_is_told():
    assert Patience().of(lambda: 7) == 7


def test_what_the_look_raises_is_raised():
    with pytest.raises(OSError, match="gone"):
        Patience().of(lambda: exec("raise OSError('gone')"))


def test_one_that_hangs_keeps_neither_who_asked_nor_the_next_one():
    server, looks = threading.Event(), []
    patience = Patience(0.05)

    def look():
        looks.append(threading.current_thread())
        server.wait()
        return "there"

    assert patience.of(look) is None
    assert patience.of(look) is None
    assert len(looks) == 1, "one thread hangs, not one for each who asks"
    server.set()
    looks[0].join()
    assert patience.of(look) == "there"


def test_where_there_is_no_thread_nobody_waits(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    patience = Patience()
    assert patience.of(lambda: 7) is None
    monkeypatch.undo()
    assert patience.of(lambda: 7) == 7
