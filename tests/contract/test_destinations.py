"""Where messages go: what is a URL and what a command, and what may be shown of either."""

import pytest

from jobd.contract import destinations
from jobd.contract.destinations import (
    Destination,
    Wish,
    address,
    destination,
    shell_line,
    when_all,
    wish,
)
from jobd.contract.states import ENDS, Occasion


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("mailto://me:secret@example.org?to=you", "mailto://…"),
        ("json://localhost:8080/token", "json://…"),
        ("slack://${env:A}/${file:/etc/b}", "slack://…"),
        ("${file:/etc/url}", "${file:/etc/url}"),
        ("notify-send done", "notify-send done"),
        ("echo " + "x" * 100, "echo " + "x" * 53 + " …"),
    ],
)
def test_of_a_url_no_more_is_shown_than_its_kind(text, label):
    assert destination(text).label == label


def test_a_command_is_run_by_a_shell():
    assert (
        destination("a | b") == shell_line("a | b") == Destination(argv=["/bin/sh", "-c", "a | b"])
    )


@pytest.mark.parametrize(
    ("text", "on", "to"),
    [
        ("mail me", ENDS, "mail me"),
        ("failed:mail me", ["failed"], "mail me"),
        ("failed,lost:json://localhost/x", ["failed", "lost"], "json://…"),
        ("json://localhost/x", ENDS, "json://…"),
        ("echo failed: oh", ENDS, "echo failed: oh"),
        ("./odd:name", ENDS, "./odd:name"),
    ],
)
def test_a_wish_says_when(text, on, to):
    found = wish(text)
    assert (found.on, found.to.label) == ([*map(Occasion, on)], to)
    assert found.label == f"{','.join(on)}:{to}"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "the command is empty"),
        ("failed:", "the command is empty"),
        ("failed,ended:x", "'ended' is no occasion; there are completed, failed, stopped, lost"),
        ("faild:mail me", "'faild' is no occasion; there are completed, failed, stopped, lost"),
        ("mailto:me@example.org", "'mailto' is no occasion"),
        ("a\0b", "cannot contain NUL"),
        ("x" * 4001, "more than 4,000 characters"),
        ("json://" + "x" * 4001, "at most 4,000 characters"),
        ("json://a b", "no blanks"),
        ("mailto://u:${PASSWORD}@h", "write ${env:NAME} or ${file:/PATH}"),
        ("mailto://u:${file:relative}@h", "write ${env:NAME} or ${file:/PATH}"),
        ("mailto://u:${env:A", "write ${env:NAME} or ${file:/PATH}"),
    ],
)
def test_what_is_no_wish(text, wrong):
    with pytest.raises(ValueError, match=r".") as refused:
        wish(text)
    assert wrong in str(refused.value)
    assert "u:" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "of", "to"),
    [
        ("mail me", "submission", "mail me"),
        ("group: mail me", "group", "mail me"),
        ("tag:json://localhost/x", "tag", "json://…"),
        ("json://localhost/x", "submission", "json://…"),
        ("echo group:a", "submission", "echo group:a"),
    ],
)
def test_a_wish_for_all_says_of_what(text, of, to):
    assert (when_all(text).of, when_all(text).to.label) == (of, to)


@pytest.mark.parametrize("word", ["groups", "failed", "submission", "Tag"])
def test_of_what_else_there_is_no_wish(word):
    with pytest.raises(ValueError, match=f"'{word}' is neither group nor tag"):
        when_all(f"{word}:mail me")


def test_a_url_is_asked_for():
    with pytest.raises(ValueError, match="this is no URL"):
        address("mail me")


def test_without_apprise_it_is_said_how_to_get_it(monkeypatch):
    destinations.require_apprise("--notify")
    monkeypatch.setattr(destinations.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(destinations.JobdError, match=r"pip install 'jobctl-queue\[notify\]'"):
        destinations.require_apprise("--notify")


def test_equal_wishes_are_equal():
    assert wish("failed:x") == Wish(on=[Occasion.FAILED], to=shell_line("x"))
