"""Durations, config, sockets' addresses: what people write, and what it means."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.contract import config_file, paths, state_directory
from jobd.contract.durations import parse, text
from jobd.contract.errors import JobdError


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90", 90), ("90s", 90), ("0.5s", 0.5), ("15m", 900), ("1h30m", 5400), ("2d", 172800),
        ("1:30:00", 5400), ("01:05", 65), ("1d2h3m4s", 93784), (" 5s ", 5), ("0", 0),
    ],
)  # fmt: skip
def test_durations_of_the_contract(written, seconds):
    assert parse(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "-5",
        "1x",
        "5 s",
        "1m1h",
        "1:75",
        "nan",
        "inf",
        "1e3",
        "99999d",
        "٣",
        "9" * 400 + ":00",
        "9" * 5000 + ":00:00",
        "9" * 5000 + "d",
    ],
)
def test_what_is_no_duration(written):
    if written == "٣":  # another script's digit: a number, and no trap
        assert parse(written) == 3
        return
    with pytest.raises(ValueError, match=r"duration|ten years"):
        parse(written)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_clear_error(written):
    with contextlib.suppress(ValueError):
        assert parse(written) >= 0


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0s"), (41.9, "41s"), (130, "2m10s"), (11100, "3h05m"), (187200, "2d4h")],
)
def test_durations_are_shown_in_two_units(seconds, written):
    assert text(seconds) == written


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[daemon]\nworkers = 1.5\n", ["workers", "line 2"]),
        ("[daemon]\nworkers = -1\n", ["workers", "line 2"]),
        ("[daemon]\ngrace = 'long'\n", ["grace", "line 2"]),
        ("[daemon]\n\n\nunknown = 1\n", ["unknown", "line 4"]),
        ("daemon = 3\n", ["daemon", "line 1"]),
        ("[x]\n", ["x", "line 1"]),
        ("[daemon\n", ["line 1"]),
    ],
)
def test_a_bad_config_names_key_and_line(tmp_path, content, words):
    (tmp_path / "config.toml").write_text(content)
    with pytest.raises(JobdError) as caught:
        config_file.load(tmp_path / "config.toml")
    assert [word for word in words if word not in caught.value.message] == []


def test_config_that_is_not_there_means_the_defaults(tmp_path):
    assert config_file.load(tmp_path / "config.toml").daemon.workers == 3
    with pytest.raises(JobdError, match="does not exist"):
        config_file.load(tmp_path / "config.toml", required=True)
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(JobdError, match="cannot read"):
        config_file.load(tmp_path / "config.toml")


def test_a_home_holds_everything_and_the_jobs_socket_comes_first(tmp_path):
    found = paths.locate({"JOBD_HOME": str(tmp_path)})
    for path in (found.socket, found.config, found.database, found.lock, found.log, found.output):
        assert path.is_relative_to(tmp_path)
    assert str(paths.client_socket({"JOBD_SOCKET": "/x", "JOBD_HOME": "/y"})) == "/x"
    assert paths.locate({"JOBD_HOME": "relative"}).state.is_absolute()


@pytest.mark.parametrize("length", [107, 108, 200])
def test_an_address_is_never_too_long(tmp_path, length):
    folder = tmp_path
    while len(str(folder)) + 12 < length:
        folder /= "d" * min(50, length - len(str(folder)) - 12 + 1)
    folder.mkdir(parents=True, exist_ok=True)
    with paths.ShortAddress(folder / "jobd.sock") as address:
        assert len(address.encode()) <= 107


def test_a_private_directory_is_ours_and_closed_to_others(tmp_path):
    state_directory.make_private(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a/b").chmod(0o755)
    state_directory.make_private(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(JobdError, match="JOBD_HOME"):
        state_directory.make_private(tmp_path / "file")
