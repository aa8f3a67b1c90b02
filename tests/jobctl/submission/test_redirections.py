"""Which shell lines would empty their own output."""

import pytest

from jobctl.submission.redirections import emptied
from jobd.contract.models import Command, Submitted
from tests.jobctl.fakes import FakeClient, jobctl


def line(text):
    return Command(argv=[text], shell=True)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"echo x > /dev/stderr", "/dev/stderr"),
        (b"echo x >/dev/stdout; ls", "/dev/stdout"),
        (b"make 2>/dev/stdout", "/dev/stdout"),
        (b"make &> '/dev/stderr'", "/dev/stderr"),
        (b"make >| /dev/fd/2", "/dev/fd/2"),
        (b"make >/proc/self/fd/1", "/proc/self/fd/1"),
        (b"make | tee /dev/stderr | wc -l", "/dev/stderr"),
        (b"make | tee log /dev/stderr", "/dev/stderr"),
        (b"make | tee -a /dev/stderr", None),
        (b"make | tee --append /dev/stderr", None),
        (b"make | tee log >&2", None),
        (b"echo x >> /dev/stderr", None),
        (b"echo x >&2", None),
        (b"echo x 2>&1 >/dev/null", None),
        (b"echo x > /dev/stderr.log", None),
        (b"cat < /dev/stdin", None),
    ],
)
def test_what_empties_the_output(text, name):
    assert emptied([line(b"true"), line(text)]) == name


def test_without_a_shell_nothing_is_redirected():
    assert emptied([Command(argv=[b"echo", b"> /dev/stderr"])]) is None


@pytest.mark.parametrize("words", [["echo x > /dev/stderr"], ["-c", "echo x > /dev/stderr"]])
def test_submit_says_so_to_a_person_alone(words):
    client = FakeClient(submit=Submitted(first=12, last=12, starts_now=True, busy=1, workers=3))
    said = "warning: > /dev/stderr empties the job's output; >> /dev/stderr adds to it\n"
    assert said in jobctl("submit", *words, client=client, terminal=True).stderr
    assert said not in jobctl("submit", *words, client=client).stderr
