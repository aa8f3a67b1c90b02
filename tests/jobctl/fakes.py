"""A client that talks to nobody, and a way to run `jobctl` without a process."""

import io
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from jobctl.cli import run
from jobd.client.client import Client
from jobd.contract.models import Job
from jobd.contract.states import State

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


class FakeClient(Client):
    """Answers each request with the next scripted reply for its name; the last one stays.

    A reply is a view, an exception to raise, or a function of the request.
    """

    def __init__(self, **replies):
        super().__init__()
        self.sent = []
        self._replies = defaultdict(list)
        for name, reply in replies.items():
            self._replies[name] = list(reply) if isinstance(reply, list) else [reply]

    def request(self, request, kind):
        self.sent.append(request)
        script = self._replies[type(request).__name__.lower()]
        assert script, f"nobody expected {request}"
        reply = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(reply, BaseException):
            raise reply
        answer = reply(request) if callable(reply) else reply
        assert isinstance(answer, kind)
        return answer

    def of(self, kind):
        """The requests of one type, in order."""
        return [request for request in self.sent if isinstance(request, kind)]


def job(number=1, state="completed", **fields):
    """A job with little about it."""
    given = {
        "name": "",
        "command": "make data",
        "argv": ["make", "data"],
        "shell": False,
        "cwd": "/tmp",
        "submitted_at": NOON,
    }
    return Job(id=number, state=State(state), **{**given, **fields})


@dataclass
class Result:
    code: int
    stdout: bytes
    stderr: str

    @property
    def out(self):
        return self.stdout.decode()


class _Terminal(io.TextIOWrapper):
    terminal = False

    def isatty(self):
        return self.terminal


def jobctl(*args, client=None, stdin=b"", terminal=False):
    """Run a command line through the error boundary, with streams of its own."""
    streams = [_Terminal(io.BytesIO(data), encoding="utf-8") for data in (stdin, b"", b"")]
    for stream in streams:
        stream.terminal = terminal
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = streams
    streams[2].reconfigure(errors="backslashreplace")
    try:
        code = run(list(args), client or FakeClient())
        for stream in streams[1:]:
            stream.flush()
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    out, err = (stream.buffer.getvalue() for stream in streams[1:])
    return Result(code, out, err.decode())
