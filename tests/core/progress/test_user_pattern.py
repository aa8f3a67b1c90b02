"""A user's own rule: what it reads, which ones are refused, and how any other is ended in time."""

import re
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from jobd.core.progress.patterns import percent_of
from jobd.core.progress.recognition import Reading, from_output
from jobd.core.progress.user_pattern import (
    AUTO,
    LONGEST,
    NONE,
    PATIENCE,
    TooSlowError,
    compile_rule,
)

BLOWS_UP = "[^ .a=%#/:0-]*" * 8 + "(0)"
"""Passes all checks: none of the characters that it is tried on is one that it repeats."""
BAD_LINE = "b" * 388 + ".0"

READ = [
    ("loss .* ([0-9.]+)%", "loss 0.3 at 45.5%\n", 45.5),
    ("step ([0-9]+)/([0-9]+)", "step 3/10 loss 0.1\n", 30),
    ("([0-9]+) files of ([0-9]+)", "30 files of 40", 75),
    ("([0-9,]+) of ([0-9,]+) rows", "1,250 of 5,000 rows", 25),
    ("^(?P<done>[0-9]+) ([a-z]+) (?P<total>[0-9]+)$", "3 against 12", 25),
    ("of (?P<total>[0-9]+), (?P<done>[0-9]+)", "of 40, 10 are done", 25),
    ("(?P<percent>[0-9]+) (per|pro) ?(cent|zent)", "45 per cent", 45),
    ("^([0-9]+)$", "8\n17\n25\n", 25),
    ("(?i)PROGRESS=([0-9]+)", "progress=10 progress=20", 20),
    ("Fortschritt: ([0-9,]+)", "Fortschritt: 45,5 v. H.", 45.5),
    ("at ([0-9]+)", "at 40\nnothing\nof note\n", 40),
    ("at ([0-9]+)", "at 140\n", None),
    ("at (-?[0-9]+)", "at -1\n", None),
    ("at (.*)", "at nan", None),
    ("at (.*)", "at home", None),
    ("([0-9]+)/([0-9]+)", "3/0", None),
    ("(?:at ([0-9]+))?", "elsewhere", None),
    ("x([0-9]+)", "45%|####5     | 45/100", None),
    ("([0-9]+)$", "x" * LONGEST + " 45", None),
]

REFUSED = [
    ("(", "not a regular expression"),
    ("a{99999999999}", "not a regular expression"),
    ("[0-9]+%", "one group"),
    ("(a)(b)(c)", "groups named percent"),
    ("(?P<done>[0-9]+)(a)(b)", "groups named"),
    ("([0-9]+)%" + "x" * 200, "longer than 200"),
    ("((a+)+)b", "repeats something"),
    ("(?:a|aa)+([0-9]+)", "repeats something"),
    ("(?:[0-9]+,?)*([0-9]+)%", "repeats something"),
    (r"(a)\1", "reference back"),
    ("a{100000000}([0-9])", "more than 400 characters"),
    ("(?:(?:(?:a{8}){8}){8})?([0-9])", "more than 400 characters"),
    (r"(?:(?:(?:\b){400}){400}){400}([0-9]+)", "too large"),
    ("(?:(?:(?:(?!a)){400}){400}){9}([0-9]+)", "too large"),
    (".*?.*?.*?([0-9]+)%", "too slow"),
    ("[^ 0-9]*" * 20 + "([0-9]+)%", "too slow"),
    ("a?" * 90 + "(b)", "too slow"),
]


@pytest.mark.parametrize(("text", "output", "percent"), READ)
def test_what_a_rule_reads(text, output, percent):
    reading = from_output(output.encode(), rule=compile_rule(text))
    assert reading == (None if percent is None else Reading(percent))


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_is_refused(text, why):
    begin = time.thread_time()
    with pytest.raises(ValueError, match=why):
        compile_rule(text)
    assert time.thread_time() - begin < 5, "a refusal must not itself take for ever"


def test_repeats_of_a_fixed_count_are_harmless():
    assert compile_rule("(?:[0-9]{2}:){2}[0-9]{2} ([0-9]+)%").newest(["12:30:00 45%"]) == 45


def test_the_words_of_the_contract():
    assert compile_rule("auto") is AUTO
    assert compile_rule("none") is NONE
    assert from_output(b"45%", rule=AUTO) == Reading(45)
    assert from_output(b"45%", rule=NONE) is None


def test_a_rule_that_was_taken_is_quick_on_what_it_was_not_tried_on():
    rule = compile_rule("epoch ([0-9]+).*step ([0-9]+)")
    begin = time.thread_time()
    rule.newest(["epoch 1 step " * 100])
    assert time.thread_time() - begin < 0.1


# --- the limit --------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [BAD_LINE, "b" * 200 + "-" + "b" * 190 + ".0", "bcd" * 130 + " 0"])
def test_a_rule_that_blows_up_is_ended(line):
    rule = compile_rule(BLOWS_UP)
    begin = time.thread_time()
    with pytest.raises(TooSlowError):
        rule.newest([line])
    assert time.thread_time() - begin < 2 * PATIENCE


def test_the_lines_of_a_look_share_the_limit():
    rule = compile_rule(BLOWS_UP)
    begin = time.thread_time()
    with pytest.raises(TooSlowError):
        rule.newest(["c" * length + "." for length in range(20, LONGEST)] + [BAD_LINE] * 100)
    assert time.thread_time() - begin < 2 * PATIENCE


def test_other_threads_run_meanwhile():
    rule, begun, ended = compile_rule(BLOWS_UP), threading.Event(), threading.Event()
    result = []

    def look():
        begun.set()
        try:
            result.append(rule.newest([BAD_LINE]))
        except TooSlowError as error:
            result.append(error)
        ended.set()

    thread = threading.Thread(target=look)
    thread.start()
    begun.wait()
    turns = 0
    while not ended.wait(0.001):
        turns += 1
    thread.join()
    assert isinstance(result[0], TooSlowError)
    assert turns > 5


@pytest.mark.parametrize("lost", ["2", "\0"])
@pytest.mark.parametrize("text", [".*.* ([0-9]+)%", ".*.*.*.*.* ([0-9]+)%%"])
def test_what_is_quick_on_every_line_is_taken(text, lost):
    rule = compile_rule(text)
    assert rule.newest(["at 45%%"]) == 45
    for end in ("", "%", "%%", "0%", "x", lost):
        for filling in ("0", "%", "x", " ", "0%", "%x"):
            line = filling * LONGEST
            rule.newest([line[: LONGEST - len(end)] + end])


# --- the same as re ---------------------------------------------------------------------------

LITERALS = [
    "loss", "epoch ", "step ", ": ", " ", "%", "/", r"\.", r"\[", r"\{", "é", "of", "=", "-",
]  # fmt: skip
WILD = [
    ".*", ".*?", r"\d+", r"\D", r"\s*", r"\S+", r"\w+", "[a-z]+", "[^0-9]*", "[0-9.]+", "x?", ".",
    "(?:at|of) ", "(?i:LOSS)", r"\b", "^", "$", "(?=[0-9])", "(?<! )", "[0-9]{1,3}", "a{2}",
    "o{,2}", "(?:[0-9]{2}:){2}", "[a-z]++", "(?>[a-z]+)", "(?#a comment [)",
]  # fmt: skip
AS_TEXT = [
    "{e}", "{e<=1}", "{}", "{ 1}", "[[:alpha:]]", "[^[:digit:]]", "[]{e}[]", r"[\]{[]", "[{3}]",
]  # fmt: skip
"""What `regex` by itself reads in another way, or not at all."""
RESULTS = ["([0-9]+)", "([0-9.]+)%", "([0-9]+)/([0-9]+)", r"(\d+) of (\d+)", "([0-9,]+)", "(.*)%"]
literals = st.lists(st.sampled_from([*LITERALS, *AS_TEXT]), max_size=2).map("".join)
# With one on each side `re` needs no time of its own on so short lines.
sides = st.tuples(literals, st.sampled_from(["", *WILD]), literals).map("".join)
patterns = st.tuples(sides, st.sampled_from(RESULTS), sides).map("".join)
words = st.sampled_from(
    ["loss", "LOSS", "epoch ", "step ", ": ", " ", "%", "/", ".", "[", "]", "{", "}", "{e}", "é",
     "aa", "oo", "x", "-", "=", ":", ",", "at ", " of ", "3/10", "45%", "12:30:", "7", "1,250",
     "[[:alpha:]]", "٣", "\N{LATIN SMALL LETTER LONG S}", "ß", "K", "\N{NO-BREAK SPACE}", "e<=1"]
)  # fmt: skip
lines = st.lists(words, max_size=12).map(lambda found: "".join(found)[:60])


def as_re_reads(text, line):
    """What the last match says, by Python's own engine."""
    pattern, match = re.compile(text), None
    for match in pattern.finditer(line[:LONGEST]):  # noqa: B007 - the last one is wanted
        pass
    if match is None or match[1] is None:
        return None
    if pattern.groups == 1:
        return percent_of(match[1])
    return percent_of(match[1].replace(",", ""), match[2].replace(",", "")) if match[2] else None


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@settings(deadline=None)
@given(patterns, lines)
@example("loss{e} ([0-9]+)", "loss{e} 45")
@example("los{e} ([0-9]+)", "loss 45")
@example("[[:alpha:]] ([0-9]+)", "x 45")
@example("[[:alpha:]] ([0-9]+)", "a] 45")
@example(r"\N{DIGIT ONE}{2}([0-9]+)", "1145")
def test_a_rule_reads_what_re_reads(text, line):
    try:
        rule = compile_rule(text)
    except ValueError:
        assume(False)
    assert rule.newest([line]) == as_re_reads(text, line)


def test_the_first_line_that_says_something_counts():
    rule = compile_rule("at ([0-9]+)")
    assert rule.newest(iter(["nothing", "at 140", "at 40 at 50", "at 60"])) == 50
    assert rule.newest([]) is None


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_a_comment_that_would_be_misread_is_refused():
    assert compile_rule("(?#[)at ([0-9]+)").newest(["at 45"]) == 45
    with pytest.raises(ValueError, match="leave out its comments"):
        compile_rule("(?x)at\\ ([0-9]+) # [\n[0-9]?")


def test_who_has_no_rule_does_not_pay_for_the_engine():
    said = "import sys, jobd.daemon, jobd.core.progress.user_pattern as r; r.compile_rule('auto')"
    code = f"{said}; assert 'regex' not in sys.modules; r.compile_rule('([0-9])%')"
    subprocess.run([sys.executable, "-c", f"{code}; import regex"], check=True)
