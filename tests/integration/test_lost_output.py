"""Output that a power cut took: `logs` and `check` say so, until the start behind the next one."""

import json
import sqlite3

import pytest
from click.testing import CliRunner

from jobd.admin.check import check
from jobd.admin.cli import main
from jobd.contract.errors import StoreFailed
from jobd.contract.models import Output
from jobd.contract.paths import locate
from jobd.daemon.commands.lost_output import LostOutput
from jobd.engines.fake import World
from jobd.engines.last_boot import ran_since_boot
from jobd.store.losses import LossRecord
from jobd.system import linux
from tests.integration.inside import submit_with
from tests.integration.test_engines import FAR, registered, runs

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


def by_power(daemon, job):
    return daemon.daemon.built.lost.of(job)


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
    assert by_power(daemon, cut) is None
    assert lost(daemon, cut).startswith(
        "40 of the 60 bytes of its output are gone: after the job had ended"
    )
    assert f"the output of job {cut} was cut: 20 of 60 bytes" in findings(daemon)


def test_what_is_older_than_a_cut_can_reach_is_not_put_down_to_it(make, boots, cut):
    daemon = make()
    daemon.sql("UPDATE jobs SET finished_at = finished_at - 3600000000 WHERE id = ?", cut)
    boots("second")
    daemon = make()
    assert by_power(daemon, cut) is None
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
    assert by_power(daemon, cut) is None


def test_a_database_that_came_from_elsewhere_has_lost_nothing_here(make, boots, cut):
    """Restored beside no output, on another machine."""
    make().close()
    daemon = make(workers=0)
    paths = daemon.paths
    daemon.close()
    paths.run_table.unlink()
    (paths.state / "jobd.boot").unlink()
    boots("second")
    daemon = make()
    assert by_power(daemon, cut) is None
    assert f"the output of job {cut + 1} is missing" in " ".join(findings(daemon))


# --- forgotten when it is asked for ---------------------------------------------------------------


def test_it_is_forgotten_when_that_is_asked_for(make, boots, cut):
    boots("second")
    daemon = make()
    whose = f"100 bytes of the output of 2 jobs ({cut}, {cut + 1}) were lost with the power before"
    assert daemon.client.forget().lost.startswith(whose)
    assert (lost(daemon, cut), lost(daemon, cut + 1), findings(daemon)) == (None, None, [])
    assert daemon.output(cut) == b"x" * 20
    assert daemon.client.forget().lost is None
    daemon.daemon.built.lost.look(fresh=False)
    assert lost(daemon, cut) is None, "nor by a daemon that follows"


def test_what_cannot_be_saved_is_told_on(make, boots, cut, monkeypatch):
    boots("second")
    daemon = make()
    told = lost(daemon, cut)

    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(LossRecord, "note", fail)
        with pytest.raises(StoreFailed):
            daemon.client.forget()
    assert lost(daemon, cut) == told


def test_a_job_that_has_run_again_meanwhile_keeps_its_own_size(make, boots, cut):
    boots("second")
    daemon = make()
    built = daemon.daemon.built
    left = built.lost.left()
    daemon.sql("UPDATE jobs SET output_bytes = 80 WHERE id = ?", cut)
    assert built.ground.writer.call(lambda: built.lost.forget(left))
    sizes = "SELECT output_bytes FROM jobs WHERE id IN (?, ?) ORDER BY id"
    assert daemon.sql(sizes, cut, cut + 1) == [(80,), (0,)]


def test_the_command_has_it_forgotten_and_then_looks(make, boots, cut):
    boots("second")
    daemon = make()
    told = jobd("check")
    assert told.exit_code == 1
    assert "next: nothing can be done about it; have it forgotten: jobd check --forget-lost" in (
        told.output
    )
    done = jobd("check", "--forget-lost")
    assert done.exit_code == 0
    assert done.stderr.startswith("forgotten: 100 bytes of the output of 2 jobs")
    assert "all is well" in done.stdout
    again = jobd("check", "--forget-lost", "--json")
    assert (again.exit_code, again.stderr) == (0, "note: there is nothing to forget\n")
    assert json.loads(again.stdout)["findings"] == []
    daemon.close()
    alone = jobd("check", "--forget-lost")
    assert alone.exit_code == 69
    assert alone.stderr == (
        "jobd: jobd is not running; what was lost is forgotten by: jobd start\n"
    )


def jobd(*words):
    return CliRunner().invoke(main, [*words])


# --- whose output a power cut can have taken ------------------------------------------------------


class Ours(World):
    """An engine whose jobs leave their output in the daemon's own directories."""

    def engine(self, context):
        made = super().engine(context)
        made.workspace = context.workspace
        return made

    __call__ = engine


@pytest.fixture
def far(make, boots, monkeypatch):
    """A function that runs a job on another engine, which prints sixty bytes; and the next boot."""

    def ran(world):
        registered(monkeypatch, cluster=world)
        daemon = make(groups=FAR)
        job = submit_with(daemon, group="far")
        attempt = runs(daemon, world, job)
        printed = daemon.paths.output_of(job, 1)
        if isinstance(world, Ours):
            printed.parent.mkdir(exist_ok=True)
            printed.write_bytes(b"x" * 60)
        attempt.prints(b"x" * 60)
        attempt.ends(exit_code=0)
        daemon.wait(job)
        assert daemon.sql("SELECT output_bytes FROM jobs WHERE id = ?", job) == [(60,)]
        daemon.close()
        boots("second")
        return job, printed

    return ran


def test_another_engine_may_leave_its_output_here_too(make, far):
    job, printed = far(Ours())
    printed.write_bytes(b"x" * 20)
    assert lost(make(groups=FAR), job).startswith("40 bytes of its output were lost with the power")


def test_what_is_not_on_a_disk_of_this_machine_no_power_cut_takes(make, far):
    world = World()
    job, _ = far(world)
    world.workspace.delete(job, 1)
    assert findings(make(groups=FAR)) == []


def test_of_an_engine_that_is_not_used_nobody_knows(make, far):
    job, printed = far(Ours())
    printed.write_bytes(b"x" * 20)
    assert by_power(make(), job) is None


def test_a_start_notes_the_boot_once_it_has_told_what_the_last_one_has_lost(
    make, boots, jobd_home, monkeypatch
):
    """Also where no engine of this machine could tell."""
    paths, look, told = locate({"JOBD_HOME": str(jobd_home)}), LostOutput.look, []

    def looking(lost, *, fresh):
        told.append(ran_since_boot(paths))
        look(lost, fresh=fresh)

    monkeypatch.setattr(LostOutput, "look", looking)
    make()
    assert (told, ran_since_boot(paths)) == ([None], True)
    boots("second")
    make()
    assert (told, ran_since_boot(paths)) == ([None, False], True)
    make()
    assert told == [None, False, True]
