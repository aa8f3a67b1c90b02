"""URLs: what they refer to is put in when they are used, and no secret is in any word of ours."""

import pytest

from jobd.sender import urls

BY_APPRISE = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""What its plugins import is not ours to mend."""


def test_a_part_is_percent_encoded_and_the_whole_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PASSWORD", "p@ss/word")
    (tmp_path / "url").write_text("json://localhost/x?a=b\n")
    assert urls.expanded("mailto://u:${env:PASSWORD}@h") == "mailto://u:p%40ss%2Fword@h"
    assert urls.expanded(f"${{file:{tmp_path}/url}}") == "json://localhost/x?a=b"
    assert urls.expanded(f"json://h/${{file:{tmp_path}/url}}").startswith("json://h/json%3A%2F")


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    said = urls.notify("mailto://u:${env:NOT_SET}@h", "t", "b", "info")
    assert said == "the variable NOT_SET is not set in the environment"
    said = urls.notify(f"${{file:{tmp_path}/none}}", "t", "b", "info")
    assert said == f"{tmp_path}/none: No such file or directory"
    (tmp_path / "noise").write_bytes(b"\xff\xfe")
    said = urls.notify(f"${{file:{tmp_path}/noise}}", "t", "b", "info")
    assert said == f"{tmp_path}/noise: is no text"


# That of a module which plugins of Apprise import at the first message.
@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
def test_an_older_apprise_has_no_class_of_kinds(monkeypatch):
    monkeypatch.setattr("apprise.NotifyType", None)
    said = urls.notify("json://127.0.0.1:1", "t", "b", "failure")
    assert "127.0.0.1" in said
    assert "TypeError" not in said


@pytest.mark.parametrize("secret", ["s3cret-password", "abcd-token", "longquery", "username"])
def test_no_part_of_a_url_is_told(secret):
    url = "mailtos://username:s3cret%2Dpassword@host.example/abcd-token?key=longquery"
    said = urls.masked(f"cannot log in with {secret} at {url}", url)
    assert secret not in said
    assert url not in said


@BY_APPRISE
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("bogus://h", "Apprise knows no bogus:// URLs. All that it knows: https://appriseit.com/"),
        ("mailt://h/x", "Apprise knows no mailt:// URLs; did you mean: mailto://. All that"),
        ("slack://hidden", "Apprise takes no slack:// URL like this one: a part of it is missing"),
        ("${env:URL}", "Apprise takes no such URL"),
    ],
)
def test_why_a_url_cannot_be_sent_to_is_said(url, words, monkeypatch):
    monkeypatch.setenv("URL", "hidden://hidden")
    said = urls.notify(url, "t", "b", "info")
    assert said.startswith(words)
    assert "hidden" not in said


@BY_APPRISE
def test_a_url_that_apprise_does_not_know_is_not_quoted():
    said = urls.notify("nosuch://user:hidden-word@h", "t", "b", "info")
    assert said.endswith("https://appriseit.com/services/")
    assert "hidden-word" not in said


@BY_APPRISE
def test_where_nobody_answers_it_says_so_without_the_url():
    said = urls.notify("json://user:hidden-word@127.0.0.1:1/path-token", "t", "b", "info")
    assert "onnection" in said
    assert "not delivered" not in said  # whoever tells it says so
    assert not {"hidden-word", "path-token"} & set(said.split())
