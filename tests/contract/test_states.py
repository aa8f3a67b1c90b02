"""Reasons that carry more than a word."""

from jobd.contract.states import cannot_be_ended, how_to_end


def test_the_way_out_of_what_cannot_be_ended_names_its_processes():
    reason = cannot_be_ended("pid 12 (sleep) belongs to root, pid 13 (su) belongs to eve")
    assert how_to_end(reason) == "sudo kill 12 13"


def test_no_other_reason_has_one():
    for reason in (None, "", "queued", "could not start: pid 12 (x)", "exit code 3"):
        assert how_to_end(reason) is None
