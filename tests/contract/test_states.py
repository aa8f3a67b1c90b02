"""Reasons that carry more than a word."""

import pytest

from jobd.contract.states import (
    Reason,
    cannot_be_ended,
    could_not_start,
    dependency_failed,
    exit_code_reason,
    how_to_end,
    kind_of,
    signal_reason,
)


def test_the_way_out_of_what_cannot_be_ended_names_its_processes():
    reason = cannot_be_ended("pid 12 (sleep) belongs to root, pid 13 (su) belongs to eve")
    assert how_to_end(reason) == "sudo kill 12 13"


def test_no_other_reason_has_one():
    for reason in (None, "", "queued", "could not start: pid 12 (x)", "exit code 3"):
        assert how_to_end(reason) is None


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (None, ""),
        (exit_code_reason(3), "exit code"),
        (signal_reason("KILL"), "signal"),
        (could_not_start("no such file: /home/me/x"), "could not start"),
        (dependency_failed(7), "dependency failed"),
        (Reason.DEPENDENCY, "dependency failed"),
        (Reason.TIME_LIMIT, "time limit"),
        (Reason.LOST, "lost"),
        ("something of a later version", "other"),
    ],
)
def test_kinds_of_reasons_are_few(reason, kind):
    assert kind_of(reason) == kind
