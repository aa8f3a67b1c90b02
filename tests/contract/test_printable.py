"""What others wrote, in a sentence of ours: on one line, and no terminal obeys it."""

import json
import logging
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.contract import wire
from jobd.contract.errors import Refused
from jobd.contract.models import Options
from jobd.contract.wording import printable, printable_json
from jobd.core.progress.recognition import from_file, last_line, message_of
from jobd.core.transitions import could_not_start
from jobd.daemon.jobs.validation import BadRequest, check_options
from jobd.daemon.log_format import LogFormat

EVERY = "".join(map(chr, range(sys.maxunicode + 1)))
ENCODABLE = "".join(char for char in EVERY if not "\ud800" <= char <= "\udfff")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer, 中文, עברית, 👍, e\u0301", "größer, 中文, עברית, 👍, e\u0301"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31m\x9b1m\x7f\0", "\\x1b[31m\\x9b1m\\x7f\\x00"),
        ("\u202e\u2066\u200e\u061c\u2028", "\\u202e\\u2066\\u200e\\u061c\\u2028"),
        ("👩\u200d💻", "👩\\u200d💻"),
        ("\udcff\ue000\U000e0001", "\ufffd\\ue000\\U000e0001"),
    ],
)
def test_what_is_no_letter_or_sign_is_an_escape(text, shown):
    assert printable(text) == shown


def test_of_all_characters_nothing_is_left_that_a_terminal_obeys():
    shown = printable(EVERY)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert shown.encode()


def test_json_of_all_characters_is_the_same_value():
    few = ENCODABLE[:0x300] + ENCODABLE[0x300::0x101]
    every = {few: [ENCODABLE, 1, None]}
    shorter = {few: [few, 1, None], "": "\n"}
    for value, encoded in (
        (every, msgspec.json.encode(every)),
        (every, json.dumps(every).encode()),
        (shorter, msgspec.json.format(msgspec.json.encode(shorter), indent=2)),
    ):
        shown = printable_json(encoded.decode())
        assert all(line.isprintable() for line in shown.split("\n"))
        assert json.loads(shown) == value
        assert msgspec.json.decode(shown) == value


@given(st.text(st.characters()))
def test_letters_stay(text):
    kept = "".join(char for char in text if char.isprintable())
    assert [char for char in kept if char not in printable(text)] == []


# --- the daemon's sentences ---------------------------------------------------------------


def test_an_error_leaves_the_daemon_fit_for_a_terminal():
    raw = wire.encode_error(Refused("no \x1b[2J\nFORGED" + "\0" * 5000))
    message = msgspec.msgpack.decode(raw, type=wire.Reply).error.message
    assert message.startswith("no \\x1b[2J\\nFORGED\\x00")
    assert (len(message), message[-1]) == (wire.MAX_MESSAGE + 1, "…")


def test_why_it_could_not_start_names_its_program_on_one_line():
    assert could_not_start("a\x1b]0;x\x07\nb: not found") == (
        "could not start: a\\x1b]0;x\\x07\\nb: not found"
    )


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (" epoch 4 ", "epoch 4"),
        ("a\nb\x9b\u202e", "a\\nb\\x9b\\u202e"),
        ("", None),
        (" \n", None),
        ("\0" * 1000, "\\x00" * 250),
    ],
)
def test_a_message_is_one_line(said, kept):
    assert message_of(said) == kept


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_message_of_a_file_drives_nothing(text):
    reading = from_file(b"40 " + text.encode())
    assert reading is None or (reading.message or "").isprintable()


def test_marks_that_turn_text_round_are_no_part_of_a_last_line():
    assert last_line("a\u200e\u200f\u061c\u202eb\u2069\x9b".encode()) == "ab"


@pytest.mark.parametrize("tag", ["\x9b31m", "\u202e", "a\u200bb", "\ue000"])
def test_a_tag_is_made_of_letters_and_signs(tag):
    with pytest.raises(BadRequest, match="--tag"):
        check_options(Options(tags=["fine", tag]))


# --- its log ------------------------------------------------------------------------------


def logged(message, *values, error=None):
    record = logging.LogRecord("jobd.x", logging.WARNING, "x.py", 1, message, values, None)
    if error is not None:
        record.exc_info = (type(error), error, None)
    return LogFormat().format(record)


def test_a_record_is_one_line():
    said = logged("%s stays", "/a\n2026-01-01 00:00:00,000 INFO jobd: FORGED\x1b[2J")
    assert said.isprintable()
    assert said.endswith("stays")


def test_a_traceback_stands_below_its_record_and_begins_no_other():
    said = logged("it failed", error=ValueError("a\nFORGED\x9b"))
    first, *rest = said.split("\n")
    assert first.endswith("WARNING jobd.x: it failed")
    assert rest == ["    ValueError: a", "    FORGED\\x9b"]
