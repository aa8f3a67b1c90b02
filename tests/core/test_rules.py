"""A user's own rule: what it reads, and which ones are refused before they can do harm."""

import time

import pytest

from jobd.core.progress import Reading, from_output
from jobd.core.rules import AUTO, LONGEST, NONE, compile_rule

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
    (".*.*.*.*.*([0-9]+)%%", "too slow"),
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
    assert compile_rule("(?:[0-9]{2}:){2}[0-9]{2} ([0-9]+)%").percent_in("12:30:00 45%") == 45


def test_the_words_of_the_contract():
    assert compile_rule("auto") is AUTO
    assert compile_rule("none") is NONE
    assert from_output(b"45%", rule=AUTO) == Reading(45)
    assert from_output(b"45%", rule=NONE) is None


def test_a_rule_that_was_taken_is_quick_on_what_it_was_not_tried_on():
    rule = compile_rule("epoch ([0-9]+).*step ([0-9]+)")
    begin = time.thread_time()
    rule.percent_in("epoch 1 step " * 100)
    assert time.thread_time() - begin < 0.1
