"""jobd as a service of a whole system: a real systemd, or OpenRC, in a copy of this machine."""

import os
import shutil

import pytest

from tests import users as others
from tests.e2e.instance import json_of
from tests.e2e.namespaces import machine
from tests.helpers import wait_until
from tests.users import PATIENCE, ROOT, needs_users

pytestmark = [pytest.mark.e2e, pytest.mark.local("services are of this machine"), needs_users]

SYSTEMD = "/lib/systemd/systemd"
BOOT = f"""
rm -rf /etc/fstab /etc/systemd/system/*.wants /lib/systemd/system/*.wants
mkdir /etc/systemd/system/sockets.target.wants
for name in dbus systemd-journald; do
    ln -s /lib/systemd/system/$name.socket /etc/systemd/system/sockets.target.wants
done
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    {SYSTEMD} --system --unit=multi-user.target --log-target=console
"""
"""With none of the machine's own services, but the bus: on it users ask systemd."""
HAS_BOOTED = ("sh", "-c", '[ "$(systemctl is-active multi-user.target)" = active ]')


class Service:
    """jobd of a user, under the manager of services of a machine."""

    def __init__(self, machine, owner):
        self.machine = machine
        self.owner = owner
        self.home = owner.home
        os.mkfifo(self.home / "gate")
        os.chown(self.home / "gate", owner.uid, owner.gid)

    def run(self, *words, **options):
        """By root."""
        return self.machine.run(*words, **options)

    def jobd(self, *words, **options):
        return self.run("./jobd", *words, at=others.BIN, **options)

    def by_owner(self, program, *words, **options):
        command = [*self.owner.command(), others.BIN / program, *words]
        return self.run(*command, env=self.owner.environment(), **options)

    def status(self):
        return json_of(self.by_owner("jobd", "status", "--json"))

    def answers(self, *, but=0):
        """Wait for a daemon, and another one than that with the pid `but`."""

        def found():
            done = self.by_owner("jobd", "status", "--json", code=None)
            return done.returncode == 0 and json_of(done)["pid"] != but and json_of(done)

        return wait_until(found, PATIENCE)

    def show(self, job="last"):
        return json_of(self.by_owner("jobctl", "show", str(job), "--json"))

    def submit_gated(self, code):
        """A job that runs until the gate is opened."""
        job = int(self.by_owner("jobctl", "submit", f"read _ <~/gate; exit {code}").stdout)
        wait_until(lambda: self.show(job)["state"] == "running", PATIENCE)
        return job

    def open_gate(self):
        (self.home / "gate").write_text("\n")

    def assert_ended(self, job, code):
        """By itself, in its first attempt."""
        self.by_owner("jobctl", "wait", str(job), code=code)
        assert (self.show(job)["exit_code"], self.show(job)["attempt"]) == (code, 1)


@pytest.fixture
def copied(users, tmp_path):
    """Makes a copy of this machine, in which the home of `users.owner` is the same."""
    scratch = tmp_path / f"machine-{os.getpid()}"
    scratch.mkdir()
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    env = {k: v for k, v in env.items() if not k.startswith(("JOBD_", "XDG_", "SUDO_"))}

    def make(begin, ready):
        return machine(scratch, begin, shared=[users.owner.home], env=env, ready=ready)

    return make


@pytest.fixture
def system(copied, users):
    """Installed and started by a systemd that is process 1."""
    if not os.access(SYSTEMD, os.X_OK) or shutil.which("systemctl") is None:
        pytest.skip(f"there is no {SYSTEMD} here")
    with copied(BOOT, HAS_BOOTED) as booted:
        made = Service(booted, users.owner)
        made.jobd("install-service", "--system", "--run-as", users.owner.name)
        made.run("systemctl", "start", "jobd")
        yield made


def property_of(system, name):
    return system.run("systemctl", "show", "jobd", "-P", name).stdout.strip()


def test_jobs_outlive_the_daemon_a_restart_and_the_supervisor(system):
    job, old = system.submit_gated(4), system.status()["pid"]
    system.run("kill", "-KILL", old)
    old = system.answers(but=old)["pid"]
    system.run("systemctl", "restart", "jobd")
    now = system.status()
    assert now["pid"] != old
    assert property_of(system, "MainPID") == str(now["supervisor_pid"])
    system.run("kill", "-KILL", now["supervisor_pid"])
    wait_until(lambda: property_of(system, "NRestarts") == "1", PATIENCE)
    wait_until(lambda: property_of(system, "ActiveState") == "active", PATIENCE)
    system.open_gate()
    system.assert_ended(job, 4)


def change_watchdog(system, seconds):
    """As `systemctl edit` would."""
    where = "/etc/systemd/system/jobd.service.d"
    line = f"[Service]\\nWatchdogSec={seconds}\\n"
    system.run("sh", "-c", f"mkdir {where}; printf '{line}' >{where}/override.conf")
    system.run("systemctl", "daemon-reload")


def test_another_watchdog_counts_from_the_next_start(system):
    """The supervisor that a restart takes over knows the old one, and was killed for that."""
    before = property_of(system, "WatchdogUSec")
    change_watchdog(system, 6)
    system.run("systemctl", "restart", "jobd")
    assert property_of(system, "WatchdogUSec") == before
    system.run("systemctl", "stop", "jobd")
    system.run("systemctl", "start", "jobd")
    assert property_of(system, "WatchdogUSec") == "6s"


@pytest.mark.slow
def test_a_daemon_that_hangs_is_replaced_by_its_watchdog(system):
    def pinged():
        return property_of(system, "WatchdogTimestampMonotonic")

    system.run("systemctl", "stop", "jobd")
    change_watchdog(system, 6)
    system.run("systemctl", "start", "jobd")
    job, now, heard = system.submit_gated(5), system.status(), set()
    wait_until(lambda: heard.add(pinged()) or len(heard) > 3, PATIENCE)  # it has answered by then
    system.run("kill", "-STOP", now["pid"])
    assert system.answers(but=now["pid"])["supervisor_pid"] == now["supervisor_pid"]
    system.open_gate()
    system.assert_ended(job, 5)


def test_stopping_waits_for_jobs_and_keeps_how_they_ended(system):
    job = system.submit_gated(6)
    system.run("systemctl", "stop", "--no-block", "jobd")
    wait_until(lambda: property_of(system, "ActiveState") == "deactivating", PATIENCE)
    system.open_gate()
    wait_until(lambda: property_of(system, "ActiveState") == "inactive", PATIENCE)
    assert property_of(system, "Result") == "success"
    system.run("systemctl", "start", "jobd")
    system.assert_ended(job, 6)


def test_a_reload_says_in_the_journal_what_counts_and_what_is_wrong(system):
    def told():
        return system.run("journalctl", "--no-pager", "-o", "cat", "-u", "jobd").stdout

    file = system.home / ".config/jobd/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[daemon]\nworkers = 2\n")
    system.run("systemctl", "reload", "jobd")
    wait_until(lambda: "→ 2; counts now" in told(), PATIENCE)
    file.write_text("[daemon]\nworkers = -2\n")
    system.run("systemctl", "reload", "jobd", code=1)
    wait_until(lambda: f"{file}, line 2: [daemon] workers: must be" in told(), PATIENCE)
    assert system.status()["workers"] == 2


def test_its_jobs_are_the_users_and_have_no_more_rights(system):
    said = "id -u; grep CapBnd /proc/self/status; touch /etc/of-a-job; touch ~/of-a-job"
    done = system.by_owner("jobctl", "submit", "--wait", said)
    assert str(system.owner.uid) in done.stdout.splitlines()
    assert "CapBnd:\t0000000000000000" in done.stdout
    assert "Read-only file system" in done.stdout
    assert (system.home / "of-a-job").exists()


def test_when_the_machine_goes_down_jobs_may_end(system):
    job = system.submit_gated(7)
    system.run("systemctl", "--no-block", "poweroff")
    wait_until(lambda: property_of(system, "ActiveState") == "deactivating", PATIENCE)
    system.open_gate()
    wait_until(lambda: not system.machine.is_there(), PATIENCE)
    system.owner.jobd("start", code=0)
    shown = json_of(system.owner.jobctl("show", str(job), "--json"))
    system.owner.jobd("stop", code=0)
    assert (shown["state"], shown["exit_code"]) == ("failed", 7)


def test_what_is_uninstalled_twice_was_not_there(system):
    system.jobd("uninstall-service", "--system")
    assert system.by_owner("jobd", "status", code=3)
    assert "jobd.service" not in system.run("systemctl", "list-unit-files").stdout
    assert "there is no /etc/systemd/system/jobd.service" in (
        system.jobd("uninstall-service", "--system", code=1).stderr
    )


# --- OpenRC -------------------------------------------------------------------------------------

PAGE = ROOT / "docs/how-to/service.md"
STATES = "starting started stopping inactive failed daemons options exclusive scheduled"
BEGIN_OPENRC = f"""
cd /run
mkdir openrc
for state in {STATES}; do mkdir openrc/$state; done
: >openrc/softlevel
trap : TERM
read _
"""


def documented_script():
    """As a reader of the page would have it."""
    _, _, rest = PAGE.read_text().partition("#!/sbin/openrc-run")
    script, fence, _ = rest.partition("```")
    assert fence
    return "#!/sbin/openrc-run" + script


@pytest.fixture
def openrc(copied, users):
    with copied(BEGIN_OPENRC, ("test", "-e", "/run/openrc/softlevel")) as begun:
        install = "apt-get install -qq -y --no-install-recommends openrc"
        done = begun.run(
            "sh", "-c", f"{install} || {{ apt-get update -qq && {install}; }}", code=None
        )
        if done.returncode != 0:
            pytest.skip(f"OpenRC cannot be installed here: {done.stderr[-300:]}")
        script = users.owner.home / "jobd.openrc"
        script.write_text(documented_script())
        program, name = others.BIN / "jobd", users.owner.name
        begun.run("install", "-m", "755", script, "/etc/init.d/jobd")
        config = f"mkdir -p /etc/conf.d; printf 'jobd_user={name}\\njobd_program={program}\\n'"
        begun.run("sh", "-c", f"{config} >/etc/conf.d/jobd")
        yield Service(begun, users.owner)


@pytest.mark.slow
def test_the_script_for_openrc_starts_reloads_and_stops_it(openrc):
    openrc.run("rc-update", "add", "jobd", "default")
    openrc.run("rc-service", "jobd", "status", code=3)
    openrc.run("rc-service", "jobd", "start")
    openrc.run("rc-service", "jobd", "status")
    job = openrc.submit_gated(4)
    openrc.run("rc-service", "jobd", "reload")
    openrc.open_gate()
    openrc.run("rc-service", "jobd", "restart")
    openrc.assert_ended(job, 4)
    openrc.run("rc-service", "jobd", "stop")
    openrc.by_owner("jobd", "status", code=3)
