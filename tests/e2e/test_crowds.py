"""Real second users who try to have all of a daemon: its places, its memory, its time."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.client.client import Client
from jobd.contract import frames, wire
from jobd.contract.frames import MAX_SEEING, SMALL
from jobd.contract.models import Command, Options, Selector, Show, Submit, Wait
from jobd.contract.paths import locate
from tests.e2e.engine_of_run import at_the_door
from tests.helpers import connections_at, wait_until
from tests.users import PATIENCE, needs_users

pytestmark = [pytest.mark.e2e, needs_users, at_the_door]
SEND = """
import os, resource, socket, sys
path, count, header, rest = sys.argv[1], *map(int, sys.argv[2:5])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for _ in range(count):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    held.append(sock)
    try:
        if header:
            sock.sendall(header.to_bytes(4, "big") + b"\\0\\x01\\x11\\x51" + bytes(rest))
    except OSError:
        pass  # the daemon has heard enough
print("there", flush=True)
sys.stdin.read()
"""
"""As another user, who may not be able to read the checkout: sockets that announce a message of
`header` bytes, send `rest` of them, and stay."""
KNOCK = """
import socket, sys
for _ in range(int(sys.argv[2])):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    sock.recv(1)
    sock.close()
"""
ASK = """
import socket, sys
path, count, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
content = open(file, "rb").read()
held = []
for _ in range(count):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    try:
        sock.sendall(content)
    except OSError:
        pass  # it was refused before it was read
    held.append(sock)
answers = [sock.recv(65536) for sock in held]
print(sum(b"large requests" in answer for answer in answers), flush=True)
"""
"""Connections that ask the same at the same time; prints how many were told to come again."""
COLLIDE = """
import socket, sys
path, size, count = sys.argv[1], *map(int, sys.argv[2:4])
numbers, made = b"", 0
while len(numbers) < size - 100:
    digits = b"%d" % ((len(numbers) + 1) * (2**61 - 1))
    numbers += b"\\x16" + bytes([len(digits)]) + digits
    made += 1
content = b"\\x01\\x1a\\x15" + made.to_bytes(4, "big") + numbers
for _ in range(count):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    sock.sendall(len(content).to_bytes(4, "big") + b"\\0" + content + b"\\n")
    assert sock.recv(1) == b""
"""
"""Messages that are a set of numbers, all with the hash 0."""


class Shared:
    """The owner's daemon, with a socket for others."""

    def __init__(self, users, **access):
        self.owner = users.owner
        home = users.owner.home / "jobd"
        self.paths = locate({"JOBD_HOME": str(home)})
        self.socket = users.owner.home / "shared"
        self.env = {"JOBD_HOME": str(home)}
        lines = ["[access]", f"socket = {json.dumps(str(self.socket))}"]
        lines += [f"{key} = {json.dumps(names)}" for key, names in access.items()]
        users.owner.run("mkdir", "-m", "700", home, code=0)
        text = "\n".join(lines)
        users.owner.run("sh", "-c", f"cat > {home}/config.toml <<'EOF'\n{text}\nEOF", code=0)
        users.owner.jobd("start", env=self.env, code=0)

    def stop(self):
        self.owner.jobd("stop", "--now", env=self.env, code=0)

    @property
    def pid(self):
        found = self.owner.jobd("status", "--json", env=self.env, code=0)
        return json.loads(found.stdout)["pid"]

    def ctl(self, user, *args, **options):
        return user.jobctl(*args, env={"JOBD_SOCKET": str(self.socket)}, **options)

    def memory(self):
        """The most that the daemon has had so far, in bytes (VmHWM of proc(5))."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def processor(self):
        """Seconds that the daemon has worked."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @contextlib.contextmanager
    def crowd(self, user, count, announced=0, sent=0):
        """So many connections of a user, for a while."""
        words = [sys.executable, "-c", SEND, self.socket, count, announced, sent]
        with subprocess.Popen(
            [*user.command(), *map(str, words)], env=user.environment(), cwd="/", text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                assert process.stdout.readline() == "there\n"
                yield
            finally:
                process.stdin.close()
                process.wait(PATIENCE)

    def open(self):
        """How many are connected at the second socket."""
        return connections_at(self.socket)


@pytest.fixture
def share(users):
    made = []

    def start(**access):
        made.append(Shared(users, **access))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def test_one_viewer_leaves_places_for_all_others(users, share):
    shared = share(viewers=[users.viewer.name], admins=[users.stranger.name])
    with shared.crowd(users.viewer, 600):
        some = wait_until(lambda: 0 < (n := shared.open()) < 300 and n, PATIENCE)
        assert some < 200
        shared.ctl(users.stranger, "status", code=0)
        turned_away = f"too many clients: {users.viewer.name} was turned away"
        wait_until(lambda: turned_away in shared.paths.log.read_text(), PATIENCE)
        shared.owner.jobctl("status", env=shared.env, code=0)
    wait_until(lambda: shared.open() == 0, PATIENCE)
    shared.ctl(users.viewer, "status", code=0)


def test_two_viewers_leave_places_for_a_third(users, share):
    names = [users.viewer.name, users.stranger.name]
    shared = share(viewers=names)
    with shared.crowd(users.viewer, 600):
        shared.ctl(users.stranger, "status", code=0)
        with shared.crowd(users.stranger, 600):
            wait_until(lambda: shared.open() < 400, PATIENCE)
            # Root is no viewer here.
            with Client(shared.socket, owner=users.owner.uid) as admin:
                assert admin.status().running


@pytest.mark.parametrize("announced", [64 * 1024 * 1024, MAX_SEEING, SMALL])
def test_what_a_viewer_announces_and_sends_costs_no_memory(users, share, announced):
    """Forty connections, each in the midst of a message; the daemon goes on."""
    shared = share(viewers=[users.viewer.name])
    shared.ctl(users.viewer, "status", code=0)
    before = shared.memory()
    with shared.crowd(users.viewer, 40, announced, announced * 9 // 10):
        shared.owner.jobctl("status", env=shared.env, code=0)
        assert shared.memory() - before < 30_000_000
    shared.ctl(users.viewer, "status", code=0)


def test_what_the_requests_of_a_viewer_become_has_a_limit(users, share):
    """A pair of numbers is three bytes on the way, and many times that once it is read."""
    shared = share(viewers=[users.viewer.name])
    shared.ctl(users.owner, "submit", "--hold", "true", code=0)
    request = Wait(selector=Selector(ids=[(1, 1)] * 80_000), wait=1.0)
    message = frames.request(0, wire.encode_request(request))
    assert SMALL < len(message) < MAX_SEEING
    file = users.viewer.home / "request"
    file.write_bytes(frames.FRAME_HEADER.pack(len(message), 0) + message + frames.FLUSHER)
    before = shared.memory()
    words = [sys.executable, "-c", ASK, shared.socket, 100, file]
    done = users.viewer.run(*map(str, words), code=0)
    assert int(done.stdout) > 50, done.stderr
    assert shared.memory() - before < 150_000_000


def test_what_a_viewer_asks_for_on_all_its_connections_is_made_one_after_the_other(users, share):
    """Each of these answers costs tens of megabytes while it is made."""
    shared = share(viewers=[users.viewer.name])
    words = Command(argv=[b"true", *(b"%d" % number for number in range(300_000))])
    with Client(shared.paths.socket, owner=users.owner.uid) as client:
        request = Submit(commands=[words], cwd=b"/", options=Options(hold=True))
        job = client.submit(request).first
    message = frames.request(0, wire.encode_request(Show(id=job)))
    file = users.viewer.home / "request"
    file.write_bytes(frames.FRAME_HEADER.pack(len(message), 0) + message + frames.FLUSHER)
    command = [*map(str, [sys.executable, "-c", ASK, shared.socket]), "1", str(file)]
    users.viewer.run(*command, code=0)
    before = shared.memory()
    command[-2] = "16"
    users.viewer.run(*command, code=0)
    # Those that wait to be sent are still there.
    assert shared.memory() - before < 100_000_000


def test_a_viewer_that_asks_for_too_much_is_told_how_much_that_is(users, share):
    shared = share(viewers=[users.viewer.name])
    listing = ("sh", "-c", "seq 1 2 200000 | jobctl ls -")
    done = users.viewer.run(*listing, env={"JOBD_SOCKET": str(shared.socket)})
    assert (done.returncode, done.stdout) == (77, "")
    assert "have at most 256 kB" in done.stderr
    assert "ranges of them" in done.stderr
    done = shared.owner.run(*listing, env=shared.env)
    assert done.returncode == 1
    assert done.stderr.count("does not exist") == 100_000


def test_strangers_who_knock_cost_less_than_a_user_who_asks(users, share):
    """Nobody is looked up for them, no thread is started, and others are served meanwhile."""
    shared = share(viewers=[users.viewer.name])
    count = 2000
    before = shared.processor()
    words = [sys.executable, "-c", KNOCK, shared.socket, count]
    users.stranger.run(*words, code=0)
    knocking = shared.processor() - before
    before = shared.processor()
    for _ in range(count):
        with Client(shared.socket, owner=users.owner.uid) as client:
            client.status()
    assert knocking < shared.processor() - before


def test_numbers_that_collide_cost_a_viewer_more_than_the_daemon(users, share):
    """A set of them would be made before anybody has looked whether it is a request at all."""
    shared = share(viewers=[users.viewer.name])
    before = shared.processor()
    users.viewer.run(sys.executable, "-c", COLLIDE, shared.socket, MAX_SEEING, 10, code=0)
    assert shared.processor() - before < 0.5
    shared.ctl(users.viewer, "status", code=0)
