"""The README as an index shows it: with links that lead somewhere, or none."""

from pathlib import Path

import pytest

from manual.readme import address_of, standing_alone

ROOT = Path(__file__).parents[2]
TEXT = """\
[Install](docs/install.md), [what is new](CHANGELOG.md#new), ![a list](docs/ls.png)
and [elsewhere](https://example.org/a), [below](#words) [mail](mailto:a@example.org).
```sh
echo [not](a-link)
```
[the
last](LICENSE)
"""
SETUP = "[metadata]\nproject_urls =\n    Documentation = https://d.example\n"


def test_with_an_address_links_to_files_begin_with_it():
    moved = standing_alone(TEXT, "https://example.org/x/blob/v1/")
    assert moved == (
        "[Install](https://example.org/x/blob/v1/docs/install.md), "
        "[what is new](https://example.org/x/blob/v1/CHANGELOG.md#new), "
        "![a list](https://example.org/x/blob/v1/docs/ls.png)\n"
        "and [elsewhere](https://example.org/a), [below](#words) [mail](mailto:a@example.org).\n"
        "```sh\necho [not](a-link)\n```\n"
        "[the\nlast](https://example.org/x/blob/v1/LICENSE)\n"
    )


def test_without_one_they_are_text():
    assert standing_alone(TEXT, "").splitlines()[0] == "Install, what is new, a list"
    assert standing_alone(TEXT, "").splitlines()[1] == TEXT.splitlines()[1]


@pytest.mark.parametrize(
    ("setup", "address"),
    [
        ("[metadata]\nname = x\n", ""),
        (SETUP, ""),
        (f"{SETUP}    Source = https://e.org/x/\n", "https://e.org/x/blob/v0.1/"),
    ],
)
def test_the_address_is_what_setup_cfg_declares(setup, address):
    assert address_of(setup, "0.1") == address


def test_ours_is_whole():
    text = (ROOT / "README.md").read_text()
    assert standing_alone(text, "").count("](") == text.count("](http")
    assert standing_alone(text, "https://e.org/").count("](https://") == text.count("](")
