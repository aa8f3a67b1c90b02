"""The configuration: sizes and durations in it, and errors that name key and line."""

import json
import os
from pathlib import Path

import pytest

from jobd.contract import config, config_file, sizes
from jobd.contract.errors import JobdError, NotPermitted


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("12B", 12),
        ("64kB", 64_000),
        ("64KiB", 65_536),
        ("50MB", 50_000_000),
        ("50 mb", 50_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2TB", 2_000_000_000_000),
    ],
)
def test_a_size_is_read(text, size):
    assert sizes.parse(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "50M", "-1", "1e6", "50 MB 3", "1,5GB", "9" * 19 + "GB"]
)
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match=r"is no size; write 4096, 64kB, 50MB|four exbibytes"):
        sizes.parse(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(5, "5 B"), (41_000, "41 kB"), (8_200_000, "8 MB"), (1_234_000_000, "1.2 GB")],
)
def test_a_size_is_told(size, text):
    assert sizes.text(size) == text


def read(tmp_path, text):
    file = tmp_path / "config.toml"
    file.write_text(text)
    return config_file.load(file)


def test_retention_is_off_by_default(tmp_path):
    kept = read(tmp_path, "").retention
    assert (kept.max_age, kept.max_jobs, kept.max_output) == (None, None, None)
    assert kept.events == 1_000_000


def test_retention_is_read_and_travels_as_json(tmp_path):
    found = read(
        tmp_path,
        """
        [retention]
        max_age = "30d"
        max_jobs = 1000
        max_output = "50MB"
        [retention.failed]
        max_age = 0
        """,
    )
    assert found.retention.max_age == 30 * 86400
    assert (found.retention.max_jobs, found.retention.max_output) == (1000, 50_000_000)
    assert (found.retention.failed.max_age, found.retention.failed.max_jobs) == (0, None)
    assert config.from_builtins(json.loads(json.dumps(config.to_builtins(found)))) == found


def test_engines_and_their_sections_are_read_and_travel_as_json(tmp_path):
    found = read(
        tmp_path,
        """
        [groups.far]
        engine = "slurm"
        [groups.wide]
        workers = 8
        [engine.slurm]
        partition = "long"
        nodes = [1, 2]
        [engine.nomad]
        """,
    )
    assert found.engines() == {"local": "engine", "slurm": "[groups.far] engine"}
    assert found.engine["slurm"] == {"partition": "long", "nodes": [1, 2]}
    assert found.engine["nomad"] == {}
    assert (found.groups["far"].workers, found.groups["wide"].engine) == (None, None)
    assert config.from_builtins(json.loads(json.dumps(config.to_builtins(found)))) == found


def test_what_is_not_said_is_not_told_to_a_version_that_may_not_know_it(tmp_path):
    told = config.to_builtins(read(tmp_path, "[groups.a]\nworkers = 2"))
    assert "engine" not in told
    assert told["groups"] == {"a": {"workers": 2}}


@pytest.mark.parametrize(
    ("table", "events"),
    [
        ("max_jobs = 1000", 20_000),
        ("max_jobs = 3", 10_000),
        ("max_jobs = 1_000_000", 1_000_000),
        ("max_jobs = 0", 1_000_000),
        ("max_jobs = 3\nmax_events = 0", 0),
        ("max_events = 5000", 5000),
    ],
)
def test_the_history_is_limited_with_the_jobs(tmp_path, table, events):
    assert read(tmp_path, f"[retention]\n{table}").retention.events == events


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            '[retention]\nmax_age = "30 days"',
            2,
            ["30 days", "is no duration", "[retention] max_age: "],
        ),
        (
            '[retention]\nmax_age = "30d"\n[retention.failed]\nmax_age = "x"',
            4,
            ["is no duration", "[retention.failed] max_age: "],
        ),
        ("[retention]\nmax_output = -1", 2, ["is no size", "[retention] max_output: "]),
        (
            "[retention]\nmax_output = true",
            2,
            ["[retention] max_output: must be text such as 50MB"],
        ),
        ("[retention]\nmax_age = []", 2, ["[retention] max_age: must be text such as 30d"]),
        ("[retention]\n\nmax_jobs = -1", 3, ["[retention] max_jobs: must be at least 0"]),
        ("[retention.running]\nmax_jobs = 1", 1, ["[retention] has no key running"]),
        (
            "[retention.failed]\nmax_jobs = 1\nmax_events = 1",
            3,
            ["[retention.failed] has no key max_events"],
        ),
        (
            'workers = 1\n[retention]\n[daemon]\nworkers = "x"',
            1,
            ["there is no workers; it belongs into [daemon]"],
        ),
        ('[groups.a]\nworkers = 1\n[groups.b]\nworkers = "x"', 2, ["groups"]),
        ('retention = {max_age = "x"}', 1, ["is no duration"]),
        ("[gpus]\ndevices = [0, -1]", 2, ["[gpus] devices: must be at least 0"]),
        ('[retention]\ncompress_after = "soon"', 2, ["is no duration", "compress_after"]),
        ('[daemon]\nworkers = "4"', 2, ["[daemon] workers: must be a whole number, such as 4"]),
        ("[daemon]\nworkers = 1001", 2, ["[daemon] workers: must be at most 1000"]),
        ("[daemon]\nshell = 3", 2, ["[daemon] shell: must be text in quotes"]),
        ("[daemon]\nstate_is_private = 1", 2, ["must be true or false"]),
        (
            "[daemon]\nsync_output = 'now'",
            2,
            ["'now' is none of its values; there are before-end, soon"],
        ),
        ("[daemon]\nengine = ''", 2, ["[daemon] engine: must not be empty"]),
        ("[[notify]]\non = ['lost', 'bad']", 2, ["'bad' is none of its values; there are compl"]),
        ("[log]\nformat = 'xml'", 2, ["there are text, json"]),
        ("[[notify]]\ncommand = 3", 2, ["[[notify]] command: must be text in quotes or a list"]),
        ("daemon = 3", 1, ["[daemon]: must be a table"]),
        ("[retention]\nmax_history = -1", 2, ["[retention] max_history: must be at least 0"]),
    ],
)
def test_an_error_names_key_and_line(tmp_path, text, line, words):
    with pytest.raises(JobdError) as caught:
        read(tmp_path, text)
    assert f"config.toml, line {line}: " in caught.value.message
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[daemon]\nwokers = 1",
            "line 2: [daemon] has no key wokers; did you mean: workers",
        ),
        (
            "[retentoin]\nmax_jobs = 1",
            "line 1: there is no retentoin; did you mean: retention",
        ),
        ("[groups.a]\nworker = 1", "did you mean: workers"),
        ("[retention.failed]\nmax_age = 1\nmaxjobs = 1", "did you mean: max_jobs"),
        ("env_exclude = []", "it belongs into [daemon]"),
        (
            "engine = 'local'",
            "[engine]: must be a table; the name of an engine belongs into [daemon]",
        ),
        ("[groups.a]\nengin = 'local'", "did you mean: engine"),
    ],
)
def test_a_mistyped_key_is_told_what_was_meant(tmp_path, text, said):
    with pytest.raises(JobdError) as refused:
        read(tmp_path, text)
    assert refused.value.message.endswith(said)


def test_of_a_key_like_none_nothing_is_guessed(tmp_path):
    with pytest.raises(JobdError, match=r"there is no xyzzy$"):
        read(tmp_path, "xyzzy = 1")


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("what", ["FIFO", "directory"])
def test_only_a_file_is_read(tmp_path, what, asked):
    """A FIFO would be waited for, for ever."""
    path = tmp_path / "config.toml"
    os.mkfifo(path) if what == "FIFO" else path.mkdir()
    with pytest.raises(JobdError, match="is no regular file; save the configuration in one") as it:
        config_file.load(path, required=asked)
    assert (it.value.message.startswith("--config: "), it.value.exit_code) == (asked, 1 + asked)


def test_the_null_device_holds_no_settings():
    assert config_file.load(Path(os.devnull), required=True) == config.Config()


def test_what_a_process_has_open_is_no_place_for_settings(tmp_path):
    """`--config /dev/stdin`, `--config <(...)`: where that leads nobody can tell beforehand."""
    file = os.open(tmp_path / "config.toml", os.O_RDWR | os.O_CREAT)
    os.write(file, b"[daemon]\nworkers = 9\n")
    with pytest.raises(NotPermitted, match="leads through /proc; name the file itself; --config"):
        config_file.load(Path(f"/dev/fd/{file}"), required=True)
    os.close(file)


def test_a_link_of_ones_own_is_followed(tmp_path):
    (tmp_path / "dotfiles").write_text("[daemon]\nworkers = 9\n")
    (tmp_path / "config.toml").symlink_to("dotfiles")
    assert config_file.load(tmp_path / "config.toml").daemon.workers == 9
