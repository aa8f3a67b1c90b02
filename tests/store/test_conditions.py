"""Patterns of names: what a shell means by them is what SQLite finds."""

import sqlite3
from contextlib import closing
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.store.conditions import as_glob


def fits(name, pattern):
    with closing(sqlite3.connect(":memory:")) as db:
        return bool(db.execute("SELECT ? GLOB ?", (name, as_glob(pattern))).fetchone()[0])


@pytest.mark.parametrize(
    ("pattern", "those", "others"),
    [
        ("[!o]*", ["bad", "!x"], ["ok", ""]),
        ("[^o]*", ["bad"], ["ok"]),
        ("[!a-c]", ["d", "!"], ["a", "b", "c"]),
        ("[]x]", ["]", "x"], ["[", "!"]),
        ("[!]x]", ["a", "["], ["]", "x"]),
        ("run[", ["run["], ["run", "runs"]),
        ("[x", ["[x"], ["x"]),
        ("a[!", ["a[!"], ["ab"]),
        ("*[0-9]", ["train7"], ["train"]),
        ("?x*", ["axe", "[x"], ["x"]),
    ],
)
def test_brackets_are_those_of_a_shell(pattern, those, others):
    assert [name for name in those if not fits(name, pattern)] == []
    assert [name for name in others if fits(name, pattern)] == []


@given(st.text("ab[]!*?", max_size=8), st.text("ab[]!", max_size=6))
def test_a_pattern_fits_what_it_fits_elsewhere(pattern, name):
    assert fits(name, pattern) == fnmatchcase(name, pattern)
