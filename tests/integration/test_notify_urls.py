"""URLs, by Apprise: a real HTTP receiver, a real mail server, a desktop's bus."""

import json
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from msgspec import structs

from jobctl.cli import run
from jobd.admin import check
from jobd.contract.destinations import wish
from jobd.contract.errors import JobdError
from jobd.contract.paths import locate
from jobd.system import linux
from tests.helpers import free_port, wait_until
from tests.integration.test_notifications import latest
from tests.integration.test_notify_option import asked

PASSWORD = "p@ss/word-hidden"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with the next of these codes, the last one again and again."""

    def __init__(self, *codes):
        self.codes, self.bodies, self.paths = list(codes), [], []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self):
        return f"json://127.0.0.1:{self.server_port}/hidden-token"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.paths.append(self.path)
        codes = self.server.codes
        self.send_response(codes.pop(0) if len(codes) > 1 else codes[0])
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def serving(*codes):
    with Receiver(*codes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_real_http_receiver_gets_it_and_once_more_where_it_fails(make, caplog, capfd):
    with serving(500, 200) as server:
        daemon = make(notify=[{"urls": [server.url], "retry_delay": 0.1, "name": "web"}])
        job = daemon.submit("echo oh no; exit 3", name="train")
        wait_until(lambda: len(server.bodies) == 2)
        wait_until(lambda: latest(daemon)[0].state == "delivered")
    assert server.paths == ["/hidden-token"] * 2
    first, second = server.bodies
    assert first == second
    assert second["title"] == f"job {job} (train) failed: exit code 3"
    assert second["type"] == "failure"
    for line in (
        "  oh no",
        f"again: jobctl restart {job}",
        f"notification {latest(daemon)[0].token}",
    ):
        assert line in second["message"].splitlines()
    assert "Internal server error" in caplog.text
    assert run(["notifications"], daemon.client) == 0
    assert run(["notifications", "--json"], daemon.client) == 0
    assert "hidden" not in caplog.text + "".join(capfd.readouterr())


def test_one_that_never_answers_is_given_up_at_its_limit(make):
    gate = threading.Event()

    class Mute(_Handler):
        def do_POST(self):
            gate.wait()

    with serving(200) as server:
        server.RequestHandlerClass = Mute
        daemon = make(notify=[{"urls": [server.url], "timeout": 1.5, "retries": 0}])
        daemon.wait(daemon.submit("true"))
        wait_until(lambda: latest(daemon) and latest(daemon)[0].state == "given up")
        assert latest(daemon)[0].error == "not done within 1.5 s"
        gate.set()


class Mail:
    """A mail server that wants a password."""

    def __init__(self):
        self.mails, self.logins = [], []
        self._controller = Controller(
            self, hostname="127.0.0.1", port=free_port(), authenticator=self._let_in,
            auth_require_tls=False,
        )  # fmt: skip

    def _let_in(self, server, session, envelope, mechanism, given):
        self.logins.append((given.login.decode(), given.password.decode()))
        # Not "handled": the answer is the server's to give, and a refusal is waited for.
        return AuthResult(success=self.logins[-1] == ("me", PASSWORD), handled=False)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append(envelope)
        return "250 OK"

    @contextmanager
    def serving(self):
        self._controller.start()
        try:
            yield self._controller.port
        finally:
            self._controller.stop()


@pytest.mark.parametrize("kind", ["env", "file"])
def test_a_real_mail_server_gets_it_with_a_password_from_elsewhere(
    make, kind, tmp_path, monkeypatch, caplog, capfd
):
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    where = "env:MAIL_PASSWORD" if kind == "env" else f"file:{tmp_path}/password"
    mail = Mail()
    with mail.serving() as port:
        query = "smtp=127.0.0.1&from=me@example.org&to=you@example.org"
        url = f"mailto://me:${{{where}}}@example.org:{port}?{query}"
        daemon = make(notify=[{"urls": [url], "name": "mail"}])
        seen = watch_arguments(monkeypatch)
        job = daemon.submit("exit 3", name="train")
        wait_until(lambda: mail.mails)
        wait_until(lambda: latest(daemon)[0].state == "delivered")
        assert run(["notify", "--test", "mail"], daemon.client) == 0
    assert set(mail.logins) == {("me", PASSWORD)}
    first, test = (mail.content.decode() for mail in mail.mails)
    assert mail.mails[0].rcpt_tos == ["you@example.org"]
    assert f"Subject: job {job} (train) failed: exit code 3" in first
    assert f"jobctl restart {job}" in first
    assert "a test, asked for by" in test
    assert run(["notifications", "--json"], daemon.client) == 0
    assert run(["status", "--json"], daemon.client) == 0
    shown = "".join(capfd.readouterr()) + caplog.text + "".join(seen)
    assert "hidden" not in shown
    assert "mail: mailto://…: delivered" in shown


def watch_arguments(monkeypatch):
    """What stands in `ps` of whoever is started."""
    seen = []
    popen = subprocess.Popen

    class Watched(popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            seen.append(Path(f"/proc/{self.pid}/cmdline").read_bytes().decode())

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return seen


def test_a_wrong_password_is_told_without_the_password(make, monkeypatch, capfd):
    monkeypatch.setenv("MAIL_PASSWORD", "other-hidden")
    mail = Mail()
    with mail.serving() as port:
        url = f"mailto://me:${{env:MAIL_PASSWORD}}@example.org:{port}?smtp=127.0.0.1"
        daemon = make()
        assert run(["notify", "--test", url], daemon.client) == 1
    said = capfd.readouterr().err
    assert "test: mailto://…: not delivered" in said
    assert "hidden" not in said
    assert mail.logins
    assert not mail.mails


def test_a_job_may_have_its_own_with_its_own_environment(daemon, monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    with serving(200) as server:
        url = f"failed:json://127.0.0.1:{server.server_port}/${{env:TOKEN}}"
        request = asked("exit 3", notify=[wish(url)])
        environment = {**request.environment, b"TOKEN": b"a/b"}
        daemon.client.submit(structs.replace(request, environment=environment))
        wait_until(lambda: server.paths)
    assert server.paths == ["/a%2Fb"]


def test_without_apprise_nothing_starts_and_it_is_said_how_to_get_it(make, monkeypatch):
    monkeypatch.setattr("jobd.contract.destinations.importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        JobdError, match=r"\[\[notify\]\] urls: .*pip install 'jobctl-queue\[notify\]'"
    ):
        make(notify=[{"urls": ["json://localhost"]}])
    make(notify=[{"command": "true"}])


def test_the_check_says_so_too(jobd_home, monkeypatch):
    monkeypatch.setattr("jobd.contract.destinations.importlib.util.find_spec", lambda _: None)
    jobd_home.mkdir(mode=0o700)
    (jobd_home / "config.toml").write_text('[[notify]]\nurls = ["json://localhost"]\n')
    (finding,) = check.check(locate({"JOBD_HOME": str(jobd_home)})).findings
    assert finding.text.startswith("[[notify]] urls: Apprise, which sends it, is missing")


@pytest.fixture
def desktop(tmp_path, monkeypatch):
    """A session bus with somebody on it who shows notifications: what is shown."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("no dbus-daemon here (Debian: dbus)")
    python = "/usr/bin/python3"
    modules = Path("/usr/lib/python3/dist-packages")
    probe = "import dbus, gi, sys; print(sys.implementation.cache_tag)"
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    if found.stdout.strip() != sys.implementation.cache_tag:
        pytest.skip("no dbus and gi for this Python here (Debian: python3-dbus, python3-gi)")
    for module in ("dbus", *(path.name for path in modules.glob("_dbus*.so"))):
        (tmp_path / "modules" / module).parent.mkdir(exist_ok=True)
        (tmp_path / "modules" / module).symlink_to(modules / module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    with running("dbus-daemon", "--session", "--nofork", "--print-address") as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.stdout.readline().strip())
        with running(python, str(Path(__file__).with_name("desktop.py"))) as shown:
            assert shown.stdout.readline() == "ready\n"
            yield shown.stdout


@contextmanager
def running(*argv):
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        assert linux.stat_of(process.pid) is None


def test_a_desktop_shows_it(make, desktop):
    daemon = make(notify=[{"urls": ["dbus://"], "name": "desktop"}])
    job = daemon.submit("exit 3", name="train")
    shown = json.loads(desktop.readline())
    assert shown["summary"] == f"job {job} (train) failed: exit code 3"
    assert "command    exit 3" in shown["body"]
    wait_until(lambda: latest(daemon)[0].state == "delivered")
