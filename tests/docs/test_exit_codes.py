"""The table of exit codes is so: each of its examples is run, and none is missing."""

from __future__ import annotations

import pytest

from jobctl.actions import exit_codes as exit_codes_of
from jobctl.render.topics import EXIT_CODES, JOB_EXIT_CODES
from jobd.contract.errors import BY_NAME, JobdError, WrongUsage
from jobd.contract.exit_codes import STOPPED
from tests.e2e.conftest import instance as instance  # noqa: PLC0414 - a fixture of theirs
from tests.e2e.instance import Instance


@pytest.mark.e2e
def test_the_exit_codes_are_those_of_the_table(instance: Instance) -> None:
    """Each example ends with its row's code. What drains and what is not running come last."""
    told: dict[str, list[str]] = {}
    for row in (*EXIT_CODES, *JOB_EXIT_CODES):
        told.setdefault(row.code, []).extend(row.examples)
    own = {"0 to 255": [42], "128 + N": [128 + 9, 128 + 15]}
    instance.start()
    instance.wait(instance.id_of("true"))
    instance.id_of("--hold", "true")
    later = {code: told.pop(code) for code in ("75", "69")}
    for code, examples in told.items():
        expected = own.get(code) or [int(code)] * len(examples)
        assert [instance.sh(example).returncode for example in examples] == expected, examples
    gate = instance.gate()
    stop = instance.drain(gate)
    assert [instance.sh(example).returncode for example in later["75"]] == [75]
    gate.open()
    assert stop.wait(60) == 0
    assert [instance.sh(example).returncode for example in later["69"]] == [69]


def test_every_exit_code_that_an_error_has_is_in_the_table() -> None:
    kinds = {JobdError, *BY_NAME.values(), WrongUsage}
    codes = {str(kind.exit_code) for kind in kinds} | {"0"}
    others = {exit_codes_of.TIMED_OUT, exit_codes_of.INTERRUPTED}
    assert {row.code for row in EXIT_CODES} == codes | {str(code) for code in others}
    jobs = {"0 to 255", "128 + N", "126", "127", "1", str(STOPPED)}
    assert {row.code for row in JOB_EXIT_CODES} == jobs
