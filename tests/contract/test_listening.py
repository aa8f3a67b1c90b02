"""`[metrics] listen`: this machine, and nothing else."""

from pathlib import Path

import pytest

from jobd.contract import listening


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9720", ("127.0.0.1", 9720)),
        ("127.8.0.1:1", ("127.8.0.1", 1)),
        ("localhost:65535", ("127.0.0.1", 65535)),
        ("[::1]:80", ("::1", 80)),
        ("/run/jobd/metrics.sock", Path("/run/jobd/metrics.sock")),
    ],
)
def test_an_address_is_read(text, address):
    assert listening.parse(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9720", "127.0.0.1:9720"),
        (":9720", "127.0.0.1:9720"),
        ("run/metrics.sock", "absolute path"),
        ("127.0.0.1", "is needed"),
        ("127.0.0.1:0", "1 to 65535"),
        ("127.0.0.1:65536", "1 to 65535"),
        ("127.0.0.1:http", "1 to 65535"),
        ("example.org:80", "is needed"),
        ("0.0.0.0:9720", "other machines"),
        ("[::]:9720", "other machines"),
        ("192.168.1.2:9720", "other machines"),
    ],
)
def test_what_is_none_or_is_open_to_others_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        listening.parse(text)
