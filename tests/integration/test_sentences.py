"""The daemon's own sentences about what others named: fit for a terminal before they leave it."""

import os

import pytest
from msgspec.structs import replace

from jobd.contract.errors import BadRequest
from jobd.contract.models import Command, Edit, Events, Options, Submit
from jobd.contract.states import State
from tests.helpers import wait_until
from tests.integration.inside import ENVIRONMENT, ids, submit_of

EVIL = b"\x1b]0;x\x07\n\xc2\x9b1m\xe2\x80\xae\xff"
SHOWN = "\\x1b]0;x\\x07\\n\\x9b1m\\u202e\ufffd"


@pytest.mark.parametrize(
    ("request_of", "said", "to_all"),
    [
        (
            lambda: Submit(commands=[Command(argv=[EVIL])], cwd=b"/"),
            f"{SHOWN}: not found",
            f"{SHOWN}: not found",
        ),
        (
            lambda: Submit(commands=[Command(argv=[b"true"])], cwd=b"/no/" + EVIL),
            f"/no/{SHOWN}: directory: no such file or directory",
            f"/no/{SHOWN}: directory: no such file or directory",
        ),
        (
            lambda: Submit(
                commands=[Command(argv=[b"true"])], cwd=b"/", options=Options(stdin=b"/no/" + EVIL)
            ),
            f"stdin: /no/{SHOWN}: no such file or directory",
            "stdin: no such file or directory",
        ),
    ],
)
def test_why_a_job_could_not_start(daemon, request_of, said, to_all):
    """`to_all`: what viewers may know of it, who read the output as well."""
    job = daemon.client.submit(replace(request_of(), environment=ENVIRONMENT)).first
    waited = daemon.wait(job)
    reason = f"could not start: {said}"
    assert daemon.job(job).reason == reason
    assert daemon.client.show(job).attempts[0].reason == reason
    assert daemon.client.show(job).events[-1].data["reason"] == reason
    # It is the last line of output, too, and goes to a terminal byte for byte.
    line = f"jobd: could not start: {to_all}"
    assert daemon.output(job) == f"{line}\n".encode()
    assert waited.last_lines[job] == line[:200].rstrip()


def test_what_a_job_says_of_its_progress(daemon, home):
    said = r"40 epoch 4\033[2J\302\2331m\342\200\217\n"
    os.mkfifo(home / "gate")
    job = daemon.submit(f'printf "{said}" >"$JOBD_PROGRESS"; read _ <{home}/gate')
    wait_until(lambda: daemon.job(job).progress == 40)
    assert daemon.job(job).progress_message == "epoch 41m"  # as a terminal would show it
    daemon.client.progress(job, 50, os.fsdecode(EVIL[:-1]))
    assert daemon.job(job).progress_message == SHOWN[:-1]
    told = [event.data.get("message") for event in daemon.client.show(job).events]
    assert SHOWN[:-1] in told
    daemon.client.stop(ids(job), grace=0)
    daemon.wait(job)


@pytest.mark.parametrize("tag", ["\x9b31m", "\u202etxt", "a\u200bb"])
def test_a_tag_that_would_drive_a_terminal_is_refused(quiet, tag):
    job = quiet.submit("true")
    before = quiet.client.events(Events(after=None)).next
    with pytest.raises(BadRequest, match="--tag: control characters"):
        quiet.client.submit(replace(submit_of("true"), options=Options(tags=[tag])))
    with pytest.raises(BadRequest, match="--tag: control characters"):
        quiet.client.edit(Edit(id=job, tags=[tag]))
    assert quiet.job(job).tags == []
    assert quiet.job(job).state is State.PENDING
    assert quiet.client.events(Events(after=None)).next == before
