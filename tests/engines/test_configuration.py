"""What a configuration needs beyond what its file says."""

import pytest

from jobd.contract.config import from_builtins
from jobd.contract.errors import JobdError
from jobd.engines import configuration


def test_compression_needs_its_library(monkeypatch):
    compressing = from_builtins({"retention": {"compress_after": "1d"}})
    configuration.check(compressing)
    monkeypatch.setattr(configuration, "find_spec", lambda _: None)
    monkeypatch.setattr(configuration.sys, "version_info", (3, 13))
    with pytest.raises(JobdError, match=r"compress_after .*pip install 'jobctl-queue\[zstd\]'"):
        configuration.check(compressing)
    configuration.check(from_builtins({"retention": {"compress_after": 0}}))
