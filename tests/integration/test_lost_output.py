"""Output that a power cut took: `logs` and `check` say so, until the start behind the next one."""

import pytest

from jobd.admin.check import check
from jobd.contract.models import Output
from jobd.system import linux

SIXTY = f"printf '%s' {'x' * 60}"


@pytest.fixture
def boots(monkeypatch):
    """A function that boots the machine anew."""
    state = {"boot": "first"}
    monkeypatch.setattr(linux, "boot_id", lambda: state["boot"])
    return lambda name: state.update(boot=name)


def findings(daemon):
    return [finding.text for finding in check(daemon.paths).findings]


def lost(daemon, job):
    return daemon.client.output(Output(id=job)).lost


@pytest.fixture
def cut(make, boots):
    """Three jobs that have ended, and a cut that took of the first two: a part, and the file."""
    daemon = make()
    first = daemon.submit(*[SIXTY] * 3)
    daemon.wait(first, first + 1, first + 2)
    daemon.close()
    daemon.paths.output_of(first, 1).write_bytes(b"x" * 20)
    daemon.paths.output_of(first + 1, 1).unlink()
    return first


def test_what_a_cut_took_is_told_by_logs_and_check(make, boots, cut, caplog):
    boots("second")
    daemon = make()
    assert lost(daemon, cut).startswith("40 bytes of its output were lost with the power before 20")
    assert lost(daemon, cut + 1).startswith("60 bytes of its output were lost with the power")
    assert daemon.output(cut + 1) == b""
    assert lost(daemon, cut + 2) is None
    [said] = findings(daemon)
    whose = f"the output of 2 jobs ({cut}, {cut + 1})"
    assert said.startswith(f"100 bytes of {whose} were lost with the power before 20")
    assert f"job {cut}: 40 bytes of its output were lost" in caplog.text


def test_the_next_start_forgets_it(make, boots, cut):
    boots("second")
    make().close()
    daemon = make()
    assert (lost(daemon, cut), findings(daemon)) == (None, [])
    boots("third")
    daemon = make()
    assert (lost(daemon, cut), findings(daemon)) == (None, [])


def test_a_daemon_that_follows_by_itself_goes_on_telling(make, boots, cut):
    boots("second")
    daemon = make()
    told = lost(daemon, cut)
    daemon.daemon.built.lost.look(fresh=False)
    assert lost(daemon, cut) == told


def test_within_a_boot_nobody_but_a_person_takes_output_away(make, boots, cut):
    daemon = make()
    assert lost(daemon, cut) is None
    assert f"the output of job {cut} was cut: 20 of 60 bytes" in findings(daemon)


def test_what_is_older_than_a_cut_can_reach_is_not_put_down_to_it(make, boots, cut):
    daemon = make()
    daemon.sql("UPDATE jobs SET finished_at = finished_at - 3600000000 WHERE id = ?", cut)
    boots("second")
    daemon = make()
    assert lost(daemon, cut) is None
    assert lost(daemon, cut + 1)


def test_a_job_that_runs_again_adds_to_what_is_left(make, boots, cut):
    boots("second")
    make().close()
    daemon = make()
    assert daemon.sql("SELECT output_bytes FROM jobs WHERE id = ?", cut) == [(20,)]


def test_a_record_that_makes_no_sense_is_none(make, boots, cut):
    boots("second")
    daemon = make()
    daemon.sql("UPDATE settings SET value = 'nonsense' WHERE name = 'lost_output'")
    daemon = make()
    assert lost(daemon, cut) is None


def test_a_database_that_came_from_elsewhere_has_lost_nothing_here(make, boots, cut):
    """Restored beside no output, on another machine."""
    make().close()
    daemon = make(workers=0)
    paths = daemon.paths
    daemon.close()
    paths.run_table.unlink()
    boots("second")
    daemon = make()
    assert lost(daemon, cut) is None
    assert f"the output of job {cut + 1} is missing" in " ".join(findings(daemon))
