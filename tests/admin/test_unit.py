"""The unit of systemd: what it says, and what systemd says of it."""

import re
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from jobd.admin import service
from jobd.admin.cli import main
from jobd.admin.unit import Unit

MOST_EXPOSED = 6.0
"""Of 10, as `systemd-analyze security` counts; jobs hold more than that against more."""


def unit(**changes):
    said = {"program": "/opt/jobd/bin/jobd", "user": None, "environ": {}}
    return Unit(**{**said, **changes}).text()


def systemd_analyze(*words):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze (Debian: apt install systemd)")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("user", [None, "daemon", "root"])
def test_systemd_finds_nothing_wrong(user, tmp_path, monkeypatch):
    file = tmp_path / "jobd.service"
    environ = {"JOBD_HOME": '/srv/a "b" $HOME 100% \\', "PATH": "/bin"}
    file.write_text(unit(user=user, environ=environ, program="/bin/true"))
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert systemd_analyze("verify", *([] if user else ["--user"]), file) == ""


def test_a_service_of_the_system_is_not_open_to_all(tmp_path):
    file = tmp_path / "jobd.service"
    file.write_text(unit(user="nobody", program="/bin/true"))
    said = systemd_analyze("security", "--offline=true", "--no-pager", file)
    assert float(re.search(r"exposure level for jobd.service: ([\d.]+)", said)[1]) <= MOST_EXPOSED


def test_no_job_is_ended_with_its_supervisor():
    for user in (None, "nobody"):
        assert "\nKillMode=process\n" in unit(user=user)


def test_a_start_that_is_refused_is_not_tried_for_ever_on_a_slow_machine():
    """Each takes a second of pause and some of work; systemd would count them in ten."""
    said = re.search(
        r"^\[Unit\]\n.*?^StartLimitIntervalSec=(\d+)$", unit(), re.MULTILINE | re.DOTALL
    )
    assert int(said[1]) >= 5 * (1 + 10)


def test_it_names_the_instance_and_calls_no_shell():
    environ = {"JOBD_HOME": "/srv/jobs", "XDG_STATE_HOME": "/home/me/state", "SECRET": "x"}
    assert "Environment=JOBD_HOME=/srv/jobs\n" in unit(environ=environ)
    assert "Environment=XDG_STATE_HOME=/home/me/state\n" in unit(environ=environ)
    assert "SECRET" not in unit(environ=environ)
    # What is the caller's own is not that of another user.
    assert "XDG" not in unit(user="daemon", environ=environ)


def test_what_systemd_would_change_stands_in_quotes():
    text = unit(environ={"JOBD_HOME": '/srv/a "b" $HOME 100% \\'}, program="/opt/my $jobd")
    assert 'Environment="JOBD_HOME=/srv/a \\"b\\" $HOME 100%% \\\\"\n' in text
    assert 'ExecStart="/opt/my $$jobd" start --foreground\n' in text


def test_a_user_service_leaves_sudo_to_the_jobs():
    assert "NoNewPrivileges" not in unit()
    assert "\nCapabilityBoundingSet=\n" in unit(user="nobody")
    assert "\nCapabilityBoundingSet=\n" not in unit(user="root")


def test_all_that_it_calls_is_there():
    called = re.findall(r"^Exec\w+=/opt/jobd/bin/jobd ([\w-]+)", unit(), re.MULTILINE)
    assert set(called) == {"start", "service-stop", "reload"}
    assert set(called) <= set(main.commands)


def test_a_line_break_cannot_stand_in_it():
    with pytest.raises(ValueError, match="cannot stand in a unit"):
        unit(environ={"JOBD_HOME": "/a\nExecStart=/bin/evil"})


# --- the commands -------------------------------------------------------------------------------


@pytest.fixture
def jobd(tmp_path, monkeypatch):
    """The command; systemctl is a script that writes down how it was called."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(service, "_SYSTEM_UNITS", tmp_path / "system")
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    def run(*words, code=0):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_a_dry_run_shows_all_and_does_nothing(jobd, tmp_path):
    said = jobd("install-service", "--user", "--dry-run")
    assert f"would write {tmp_path}/config/systemd/user/jobd.service" in said
    assert "ExecStart=" in said
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bin"]


def test_it_is_written_enabled_and_taken_away(jobd, tmp_path):
    said = jobd("install-service", "--user")
    file = tmp_path / "config/systemd/user/jobd.service"
    assert "Type=notify" in file.read_text()
    assert "systemctl --user start jobd" in said
    assert "loginctl enable-linger" in said
    assert f"{file} deleted" in jobd("uninstall-service", "--user")
    assert not file.exists()
    assert (tmp_path / "called").read_text().splitlines() == [
        "--user daemon-reload", "--user enable jobd.service",
        "--user disable --now jobd.service", "--user daemon-reload",
    ]  # fmt: skip


def test_a_service_of_the_system_runs_as_whoever_called_sudo(jobd, tmp_path, monkeypatch):
    (tmp_path / "system").mkdir()
    monkeypatch.setenv("SUDO_USER", "nobody")
    assert "linger" not in jobd("install-service", "--system")
    assert "\nUser=nobody\n" in (tmp_path / "system/jobd.service").read_text()
    jobd("install-service", "--system", "--run-as", "root")
    assert "\nUser=root\n" in (tmp_path / "system/jobd.service").read_text()


def test_what_cannot_be_is_said_in_words(jobd, tmp_path):
    assert "one of the two" in jobd("install-service", "--user", "--system", code=2)
    assert "no user 'nobody-at-all'" in jobd(
        "install-service", "--system", "--run-as", "nobody-at-all", code=2
    )
    assert "--run-as" in jobd("install-service", "--user", "--run-as", "root", code=2)
    assert "there is no " in jobd("uninstall-service", "--user", code=1)
    (tmp_path / "config").write_text("a file")
    assert "cannot write" in jobd("install-service", "--user", code=1)


def test_without_systemd_the_unit_is_written_all_the_same(jobd, tmp_path):
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\nexit 1\n")
    assert "systemd does not answer here" in jobd("install-service", "--user")
