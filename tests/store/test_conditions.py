"""What SQL finds is what is meant: patterns of names as a shell has them, and the rules of core."""

import itertools
import sqlite3
from contextlib import closing
from fnmatch import fnmatchcase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.contract.states import State
from jobd.core.transitions import is_failing, is_met, waiting_reason
from jobd.store import conditions
from jobd.store.command_lines import command_of
from jobd.store.conditions import FAILING, MET, WAITS_FOR, as_glob
from jobd.store.records import Filter, Spec


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


def of_a_parent(condition, state, any_end):
    """Whether it holds for a parent in this state and a dependant of this kind."""
    tables = "(SELECT ? AS state) AS j, (SELECT ? AS finished)"
    with closing(sqlite3.connect(":memory:")) as db:
        (found,) = db.execute(f"SELECT {condition} FROM {tables}", (state, any_end)).fetchone()
    return bool(found)


WAYS_TO_WAIT = list(itertools.product(State, [False, True]))


@pytest.mark.parametrize(("state", "any_end"), WAYS_TO_WAIT)
def test_a_dependency_is_met_on_disk_just_where_it_is_in_memory(state, any_end):
    assert of_a_parent(MET, state, any_end) == is_met(state, any_end=any_end)
    assert of_a_parent(FAILING, state, any_end) == is_failing(state, any_end=any_end)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("unmet", [0, 2])
@pytest.mark.parametrize("due", [None, 7])
@pytest.mark.parametrize("failures", [0, 1])
def test_a_pending_job_waits_on_disk_for_what_it_waits_for_in_memory(held, unmet, due, failures):
    row = {"held": held, "unmet": unmet, "due": due, "failures": failures}
    columns = ", ".join(f":{name} AS {name}" for name in row)
    with closing(sqlite3.connect(":memory:")) as db:
        (found,) = db.execute(f"SELECT {WAITS_FOR} FROM (SELECT {columns})", row).fetchone()
    assert found == waiting_reason(**row)


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("python train.py*", "train.py"),
        ("x*", "x"),
        ("*", ""),
        ("*'a b'*", "a"),
        ("[!abcdef]gh", "gh"),
        ("[]abcdef]gh*", "gh"),
        ("[abc", "abc"),
        ("é*ab", "ab"),
    ],
)
def test_what_stands_in_the_record_of_a_command_that_fits(pattern, part):
    assert conditions.plain_part(pattern) == part


WORDS = st.text("ab'\" /-[]*?é\0", max_size=6).map(str.encode)


@given(
    st.lists(WORDS, min_size=1, max_size=3),
    st.booleans(),
    st.text("ab'\" /-[]!*?é", min_size=1, max_size=6),
)
def test_no_command_that_fits_is_left_out(argv, shell, pattern):
    spec = Spec(argv[:1] if shell else argv, shell, b"/", 0o077)
    where, values = conditions.condition(Filter(command=pattern))
    with closing(sqlite3.connect(":memory:")) as db:
        db.create_function("command_of", 1, command_of)
        db.execute("CREATE TABLE arrays (first, spec)")
        db.execute("CREATE TABLE jobs (spec, array)")
        db.execute("INSERT INTO jobs VALUES (?, NULL)", [msgspec.msgpack.encode(spec)])
        (found,) = db.execute(f"SELECT COUNT(*) FROM jobs AS j WHERE {where}", values).fetchone()
        (fits,) = db.execute(
            "SELECT command_of(spec) GLOB ? FROM jobs", [conditions.as_glob(pattern)]
        ).fetchone()
    assert found == fits
