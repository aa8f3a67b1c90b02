"""How an extra gets into the environment that lacks it."""

import pytest

from jobd.contract.distribution import how_to_get


@pytest.mark.parametrize(
    ("mark", "way"),
    [
        (None, "pip install"),
        ("pipx_metadata.json", "pipx install --force"),
        ("uv-receipt.toml", "uv tool install"),
    ],
)
def test_an_extra_is_installed_by_what_has_made_the_environment(mark, way, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    if mark is not None:
        (tmp_path / mark).touch()
    assert how_to_get("tui") == f"{way} 'jobctl-queue[tui]'"
