"""The Python API: what `from jobctl import ...` gives, and what it costs."""

import subprocess
import sys

import pytest

import jobctl
from jobd.client.client import Client


def test_the_client_is_there():
    assert jobctl.Client is Client
    assert jobctl.__all__ == ["Client"]


def test_nothing_else_is():
    with pytest.raises(AttributeError, match="'jobctl' has no attribute 'Klient'"):
        _ = jobctl.Klient
    with pytest.raises(ImportError):
        from jobctl import Klient  # noqa: F401 # as a user would


def test_it_costs_nothing_until_it_is_used():
    code = """
import sys, jobctl
assert not {"rpyc", "msgspec", "click"} & set(sys.modules)
jobctl.Client
print("rpyc" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "True"
