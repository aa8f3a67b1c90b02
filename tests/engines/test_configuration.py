"""What a configuration needs beyond what its file says."""

from pathlib import Path

import pytest

from jobd.contract import config_file
from jobd.contract.config import from_builtins
from jobd.contract.errors import JobdError
from jobd.engines import configuration

FILE = Path("/nonexistent/config.toml")


def test_compression_needs_its_library(monkeypatch):
    compressing = from_builtins({"retention": {"compress_after": "1d"}})
    configuration.check(compressing, FILE)
    monkeypatch.setattr(configuration, "find_spec", lambda _: None)
    monkeypatch.setattr(configuration.sys, "version_info", (3, 13))
    with pytest.raises(JobdError, match=r"compress_after .*pip install 'jobctl-queue\[zstd\]'"):
        configuration.check(compressing, FILE)
    configuration.check(from_builtins({"retention": {"compress_after": 0}}), FILE)


@pytest.mark.parametrize(
    ("written", "line", "said"),
    [
        (
            "[engine.slurm]\n\npack = 'x'",
            3,
            "[engine.slurm] pack: must be a whole number, such as 4",
        ),
        ("[engine.slurm]\npack = 0", 2, "[engine.slurm] pack: must be at least 1"),
        ("[engine.slurm]\nqos = 3", 2, "[engine.slurm] qos: must be text in quotes"),
        (
            "[engine.slurm]\nsubmit_options = '--mem=4G'",
            2,
            '[engine.slurm] submit_options: must be a list, such as ["a", "b"]',
        ),
        (
            "[engine.slurm]\nsubmit_options = [3]",
            2,
            "[engine.slurm] submit_options: must be text in quotes",
        ),
        ("[engine.slurm]\npak = 3", 2, "[engine.slurm] has no key pak; did you mean: pack"),
        (
            "[engine.slurm]\nspeed = 3",
            2,
            "[engine.slurm] has no key speed; known are: account, gpu_option, ",
        ),
        ("engine.slurm.poll = 'soon'", 1, "[engine.slurm] poll: 'soon' is no duration; write 90, "),
        ("[engine.local]\nspeed = 3", 2, "[engine.local] has no key speed; it takes none"),
        ("[daemon]\n[engine.nowhere]\n", 2, "[engine.nowhere]: there is no 'nowhere'; known are: "),
        ("[groups.g]\nengine = 'slrm'", 2, "[groups.g] engine: there is no 'slrm'; known are: "),
    ],
)
def test_what_is_wrong_with_an_engine_has_its_line_as_all_else_has(tmp_path, written, line, said):
    file = tmp_path / "config.toml"
    file.write_text(written)
    with pytest.raises(JobdError) as error:
        configuration.check(config_file.load(file), file)
    assert error.value.exit_code == 1
    assert error.value.message.startswith(f"{file}, line {line}: {said}")


def test_an_engine_of_the_command_line_has_no_line():
    with pytest.raises(JobdError, match=r"^engine: there is no 'nowhere'; known are: "):
        configuration.check(from_builtins({"daemon": {"engine": "nowhere"}}), FILE)


def test_of_a_file_that_has_gone_meanwhile_the_key_is_told():
    wrong = from_builtins({"engine": {"local": {"speed": 3}}})
    with pytest.raises(JobdError, match=r"^\[engine.local\] has no key speed; it takes none$"):
        configuration.check(wrong, FILE)
