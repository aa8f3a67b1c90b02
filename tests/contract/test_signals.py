"""Names and numbers of signals, as they are written."""

import signal

import pytest

from jobd.contract.signals import signal_number


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "15", "term", "sigterm"])
def test_signal_names(name):
    assert signal_number(name) == 15


def test_realtime_signals():
    assert signal_number("RTMIN+2") == signal.SIGRTMIN + 2
    assert signal_number("SIGRTMAX-1") == signal.SIGRTMAX - 1


@pytest.mark.parametrize("name", ["", "NOPE", "0", "65", "-1", "_IGN", "RTMIN+99"])
def test_no_signals(name):
    with pytest.raises(ValueError, match="no such signal"):
        signal_number(name)
