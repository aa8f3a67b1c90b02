"""What a person is told of a command that may have been meant otherwise."""

import os
import sys

import pytest

from jobctl.submission import advice
from jobctl.submission.advice import Case
from jobd.contract.errors import NotPermitted
from jobd.contract.models import Command, Holding, Setting, Submitted
from tests.jobctl.fakes import FakeClient, jobctl


@pytest.fixture
def place(tmp_path):
    """A function that writes a file into the directory of the job, and gives its path there."""

    def write(name, content=b"", mode=0o755):
        file = tmp_path / name
        file.write_bytes(content)
        file.chmod(mode)
        return b"./" + os.fsencode(name)

    write.cwd = os.fsencode(tmp_path)
    return write


def case(*words, shell=None, cwd=b"/", script=b"", waits=False):
    """A shell line where it is one word."""
    command = Command(argv=list(words), shell=len(words) == 1 and not script, script=script)
    path = {b"PATH": b"/usr/bin:/bin"}
    return Case(command, path, cwd, lambda: shell or b"/bin/dash", waits=waits)


def said(*words, **given):
    return "; ".join(advice.of([case(*words, **given)]))


# --- output that is emptied ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        (b"echo x > /dev/stderr", ">&2"),
        (b"echo x >/dev/stdout; ls", ">&1"),
        (b"make 2>/dev/stdout", ">&1"),
        (b"make > '/dev/stderr'", ">&2"),
        (b"make >| /dev/fd/2", ">&2"),
        (b"make >/proc/self/fd/1", ">&1"),
        (b"make | tee /dev/stderr | wc -l", "tee -a /dev/stderr"),
        (b"make | tee log /dev/stderr", "tee -a /dev/stderr"),
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
def test_what_empties_the_output(text, instead):
    found = advice.empties_output(case(text))
    assert found is None if instead is None else found.endswith(f"output; write {instead}")


def test_without_a_shell_nothing_is_redirected():
    assert advice.empties_output(case(b"echo", b"> /dev/stderr")) is None


# --- words of another shell ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"source venv/bin/activate && make", "source"),
        (b"cd x && source env.sh", "source"),
        (b"[[ -f a ]] && make", "[["),
        (b"if [[ $A == b ]]; then make; fi", "[["),
        (b"diff <(sort a) <(sort b)", "<(...)"),
        (b"make | tee >(gzip > log.gz)", "<(...)"),
        (b"make &> log", "&>"),
        (b"cat <<< hello", "<<<"),
        (b"for i in {1..9}; do echo $i; done", "{1..9}"),
        (b"echo source x", None),
        (b"grep '[[ a' file", None),
        (b'echo "[[ a ]] &> b {1..2}"', None),
        (b"make > log 2>&1 &", None),
        (b"(make) & wait", None),
        (b"echo \\&> log", None),
        (b"cat <<X\nsource a\nX", None),
        (b"make # source me", None),
        (b"awk '/[[:alpha:]]/ {print}' f", None),
        (b"echo $((1 << 2)) && echo ${x%..}", None),
    ],
)
def test_words_that_a_plain_shell_does_not_know(line, word):
    found = advice.is_for_another_shell(case(line))
    assert found is None if word is None else found.startswith(f"{word} is not known to /bin/dash")


@pytest.mark.parametrize("shell", ["bash", "zsh", "ksh"])
def test_in_their_own_shell_nothing_is_said(tmp_path, shell):
    link = tmp_path / "sh"
    link.symlink_to(f"/bin/{shell}")
    for name in (f"/bin/{shell}", str(link)):
        assert advice.is_for_another_shell(case(b"[[ -f a ]]", shell=name.encode())) is None


def test_the_daemon_is_asked_for_its_shell_only_where_that_matters():
    settings = [Setting(key="daemon.shell", value="/bin/zsh", source="file")]
    answers = {
        "submit": Submitted(first=12, last=12, starts_now=True, busy=1, workers=3),
        "configuration": Holding(file="", settings=settings),
    }
    client = FakeClient(**answers)
    assert "warning" not in jobctl("submit", "[[ -f a ]]", client=client, terminal=True).stderr
    assert len(client.sent) == 2
    client = FakeClient(**answers)
    jobctl("submit", "make", client=client, terminal=True)
    assert len(client.sent) == 1
    client = FakeClient(**{**answers, "configuration": NotPermitted("a viewer")})
    stderr = jobctl("submit", "[[ -f a ]]", client=client, terminal=True).stderr
    assert ("[[ is not known to /bin/sh" in stderr) == (
        os.path.basename(os.path.realpath("/bin/sh")) != "bash"
    )
    client = FakeClient(**answers)
    jobctl("submit", "--shell", "bash", "[[ -f a ]]", client=client, terminal=True)
    assert len(client.sent) == 1


# --- an argv ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        ([b"cat", b"a", b"|", b"wc"], "|"),
        ([b"make", b"&&", b"make", b"install"], "&&"),
        ([b"make", b">", b"log"], ">"),
        ([b"make", b"2>&1"], "2>&1"),
        ([b"expr", b"1", b"|", b"2"], None),
        ([b"grep", b"|", b"file"], None),
        ([b"/usr/bin/find", b".", b"-exec", b"ls", b"{}", b";"], None),
        ([b"make", b"a|b"], None),
        ([b"sh", b"-c", b"|"], None),
    ],
)
def test_a_sign_that_reaches_no_shell(words, sign):
    found = advice.is_no_pipe(case(*words))
    assert found is None if sign is None else found.startswith(f"{sign!r} is an argument of ")


def test_the_line_that_is_meant_is_shown():
    assert said(b"cat", b"a b", b"|", b"wc").endswith(
        """: jobctl submit -c 'cat '"'"'a b'"'"' | wc'"""
    )
    assert said(b"cat", b"a" * 99, b"|", b"wc").endswith(": jobctl submit -c LINE")


def test_in_a_shell_line_it_is_one():
    assert said(b"cat a | wc && make > log") == ""


def test_a_line_is_no_program():
    assert said(b"ls -la", b"a b") == (
        "of several words the first one is the program; for a line: jobctl submit -c 'ls -la a b'"
    )
    assert said(b"ls -la") == ""


# --- programs -----------------------------------------------------------------------------


def test_a_program_that_is_not_executable(place):
    name = place("run.py", b"#!/bin/sh\n", mode=0o644)
    assert said(name, b"x", cwd=place.cwd) == ("./run.py is not executable: chmod +x ./run.py")
    assert said(name, cwd=place.cwd) == "./run.py is not executable: chmod +x ./run.py"
    assert said(name, b"x", cwd=place.cwd, waits=True) == ""
    os.mkdir(place.cwd + b"/data")
    assert said(b"./data", b"x", cwd=place.cwd) == "./data is a directory"


def test_a_script_that_is_named_without_its_directory(place):
    """Other queues take it from there; here it is looked for in PATH."""
    place("job.sh", b"#!/bin/sh\n")
    place("my job.sh", b"#!/bin/sh\n")
    advised = "{0} is in this directory: write ./{0}, or jobctl submit --script {0}"
    assert said(b"job.sh", cwd=place.cwd) == advised.format("job.sh")
    assert said(b"job.sh", b"x", cwd=place.cwd) == advised.format("job.sh")
    assert said(b"my job.sh", b"x", cwd=place.cwd).endswith("--script 'my job.sh'")
    place("ls", b"#!/bin/sh\n")
    for words in ([b"ls", b"x"], [b"none.sh", b"x"], [b"./job.sh", b"x"], [b"cd x; job.sh"]):
        assert said(*words, cwd=place.cwd) == ""
    assert said(b"job.sh", b"x", cwd=place.cwd, waits=True) == ""


@pytest.mark.parametrize(
    ("name", "content", "mode", "advised"),
    [
        ("train.py", b"import sys\n", 0o644, "write python train.py"),
        ("train.py", b"import sys\n", 0o755, "write python train.py"),
        ("fit.R", b"x <- 1\n", 0o644, "write Rscript fit.R"),
        ("train.py", b"#!/bin/sh\n", 0o644, "write jobctl submit --script train.py"),
        ("job.sh", b"make\n", 0o755, "write jobctl submit --script job.sh"),
        ("a.out", b"\x7fELF\x02", 0o755, "write ./a.out"),
    ],
)
def test_what_is_no_program_is_told_what_runs_it(place, name, content, mode, advised):
    """`./train.py` would have ended with 126, and with --script /bin/sh would have read Python."""
    place(name, content, mode)
    found = said(os.fsencode(name), b"x", cwd=place.cwd)
    assert found.replace("python3", "python") == f"{name} is in this directory: {advised}"


def test_data_of_this_directory_is_no_program(place):
    place("a.bin", b"\x00\x01", 0o644)
    assert said(b"a.bin", b"x", cwd=place.cwd) == ""


def test_python_is_called_as_it_is_there(place):
    place("train.py", b"import sys\n", 0o644)
    place("python3", b"#!/bin/sh\n")
    command = Command(argv=[b"train.py", b"x"])
    [line] = advice.of([Case(command, {b"PATH": place.cwd}, place.cwd, lambda: b"/bin/sh")])
    assert line == "train.py is in this directory: write python3 train.py"


def test_a_file_that_python_runs_is_not_to_be_made_executable(place):
    place("train.py", b"import sys\n", 0o644)
    advised = "./train.py is not executable: write python ./train.py"
    assert said(b"./train.py", b"x", cwd=place.cwd).replace("python3", "python") == advised


def test_a_line_behind_dashes_is_one_word():
    command = Command(argv=[b"make && make install"])
    [line] = advice.of([Case(command, {b"PATH": b"/bin"}, b"/", lambda: b"/bin/sh")])
    assert (
        line == "after -- the whole word is taken as the program's name; for a line: "
        "jobctl submit -c 'make && make install'"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#!/bin/sh\ntrue\n", ""),
        (b"#! /usr/bin/env sh\ntrue\n", ""),
        (b"#!/usr/bin/env -S sh -e\ntrue\n", ""),
        (b"#!/bin/sh", ""),
        (b"\x7fELF\x02", ""),
        (b"PK\0\0", ""),
        (b"", ""),
        (b"import sys\n", "./a has no #! line: /bin/sh runs it"),
        (b"#!/bin/sh\r\ntrue\r\n", "./a has line ends of DOS, so its interpreter is not"),
        (b"#!/opt/no/python\n", "./a: its interpreter /opt/no/python is not there"),
        (b"#!/usr/bin/env pyhton\n", "./a: its interpreter pyhton is not there"),
    ],
)
def test_a_script_and_its_interpreter(place, content, why):
    name = place("a", content)
    found = said(name, b"x", cwd=place.cwd)
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_a_shell_runs_a_script_without_a_first_line_itself(place):
    assert said(place("a", b"make\n"), cwd=place.cwd) == "./a has no #! line: /bin/sh runs it"


def test_a_copy_of_a_script_too():
    assert said(b"job.py", script=b"import sys\n") == "job.py has no #! line: /bin/sh runs it"
    assert "/opt/no" in said(b"job.py", script=b"#!/opt/no\n")


def test_a_pipe_that_nobody_writes_to_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o755)
    assert said(b"./pipe", b"x", cwd=os.fsencode(tmp_path)) == ""


# --- many ---------------------------------------------------------------------------------


def test_of_many_commands_a_few_lines_are_told_each_once():
    cases = [case(b"[[ a ]]")] * 5 + [case(b"a > /dev/fd/%d" % number) for number in (1, 2)]
    assert len(advice.of(cases)) == 3
    assert len(advice.of([*cases, case(b"a", b"|", b"b")])) == 3


def test_of_very_many_commands_not_each_program_is_looked_for(monkeypatch):
    looked = []
    rule = looked.append
    monkeypatch.setattr(advice, "OF_PROGRAMS", (rule,))
    advice.of([case(b"true")] * 1000)
    assert len(looked) == 100


# --- who is told --------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["echo x > /dev/stderr"], ["-c", "echo x > /dev/stderr"]])
def test_submit_says_so_to_a_person_alone(words):
    client = FakeClient(submit=Submitted(first=12, last=12, starts_now=True, busy=1, workers=3))
    told = "warning: > /dev/stderr empties the job's output; write >&2\n"
    result = jobctl("submit", *words, client=client, terminal=True)
    assert (result.code, result.out, told in result.stderr) == (0, "12\n", True)
    assert told not in jobctl("submit", *words, client=client).stderr


def test_whoever_wants_data_is_told_nothing():
    client = FakeClient(submit=Submitted(first=12, last=12), list=[])
    stderr = jobctl("submit", "--json", "a > /dev/stderr", client=client, terminal=True).stderr
    assert "warning: >" not in stderr


def test_a_manifest_gets_advice_too(tmp_path):
    file = tmp_path / "jobs.toml"
    file.write_text('[jobs.a]\ncommand = "a > /dev/stderr"\n[jobs.b]\ncommand = ["a", "|", "b"]\n')
    client = FakeClient(graph=Submitted(first=1, last=2))
    stderr = jobctl("submit", "--manifest", str(file), client=client, terminal=True).stderr
    assert "warning: > /dev/stderr empties" in stderr
    assert "warning: '|' is an argument of a here" in stderr


# --- stdin --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "read", "is_told"), [(b"data", 0, True), (b"data", 2, False), (b"", 0, False)]
)
def test_a_file_that_is_given_and_not_read(tmp_path, monkeypatch, content, read, is_told):
    """A loop of a shell that reads its list from there has read some of it."""
    (tmp_path / "in").write_bytes(content)
    with open(tmp_path / "in", "rb", buffering=0) as file:
        file.read(read)
        monkeypatch.setattr(sys, "stdin", file)
        monkeypatch.setattr(os, "getpgid", lambda _: -1)
        assert bool(advice.of_unread_input()) is is_told
        monkeypatch.setattr(os, "getpgid", lambda _: os.getpgrp())
        assert advice.of_unread_input() is None


def test_a_pipe_that_is_given_and_not_read(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(os, "getpgid", lambda _: -1)
    with open(reading, "rb") as file, open(writing, "wb"):
        monkeypatch.setattr(sys, "stdin", file)
        assert "--stdin FILE" in advice.of_unread_input()
    with open(os.devnull, "rb") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert advice.of_unread_input() is None
