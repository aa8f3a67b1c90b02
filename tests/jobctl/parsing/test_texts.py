import pytest

from jobctl.parsing.texts import as_bytes, as_shown, checked, file_name, shown

NO_UTF8 = b"caf\xe9".decode("utf-8", "surrogateescape")


def test_what_programs_get_is_exact():
    assert as_bytes(NO_UTF8) == b"caf\xe9"
    assert as_bytes("") == b""
    assert file_name(NO_UTF8) == NO_UTF8


def test_what_people_read_is_shown_as_everywhere():
    assert as_shown(NO_UTF8) == b"caf\xe9".decode("utf-8", "replace")
    cut = b"\xe2\x82"
    assert as_shown(cut.decode("utf-8", "surrogateescape")) == cut.decode("utf-8", "replace")
    assert as_shown("é€") == "é€"


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (as_bytes, "a\0b"), (as_bytes, "\ud83d"), (file_name, ""), (file_name, "a\0b"),
        (as_shown, "a\0b"), (checked, NO_UTF8), (checked, "a\0b"), (checked, "\0" * 100_000),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_few_words(check, text):
    with pytest.raises(ValueError, match=r"NUL|UTF-8|no text|empty") as caught:
        check(text)
    assert len(str(caught.value)) < 100


def test_a_long_text_is_quoted_in_part():
    assert len(shown("x" * 1000)) == 40
    assert shown("x") == "'x'"
