"""What runs on a node, tried in the shells that are /bin/sh somewhere, without a cluster."""

import itertools
import os
import shutil
import signal
import subprocess
from contextlib import suppress

import pytest

from jobd.contract.directories import Directory
from jobd.contract.wording import printable
from jobd.engines.base import Launch
from jobd.engines.slurm import attempt_files, script
from jobd.engines.slurm.script import AttemptPaths, quoted
from tests.helpers import wait_until

SHELLS = [
    [shell, *options] for shell, *options in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
]
ODD = bytes(byte for byte in range(1, 256))


def end_of(folder):
    return attempt_files.end_in(Directory(folder))


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def node(request, tmp_path):
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"no {request.param[0]}")
    return Node(request.param, tmp_path)


class Node:
    """A directory in the place of a shared one, and a shell in the place of a node."""

    def __init__(self, shell, directory):
        self.shell = shell
        self.directory = directory
        self.folder = directory / "folder"
        self.output = directory / "output"
        self.output.touch()
        self.folder.mkdir()

    def place(self, program=None):
        return AttemptPaths(os.fsencode(self.folder), os.fsencode(self.output), program)

    def write(self, *argv, program=None, **more):
        fields = {
            "cwd": os.fsencode(self.directory), "umask": 0o022,
            "environment": {b"PATH": b"/usr/bin:/bin", b"PWD": os.fsencode(self.directory)},
        }  # fmt: skip
        launch = Launch(job=7, attempt=1, slot=1, token="t", argv=list(argv), **{**fields, **more})
        for name in ("end.new",):
            (self.folder / name).write_bytes(b"\n" * 2000)
        (self.folder / "start").write_bytes(script.start_script(launch, self.place(program)))

    def begin(self, path="/usr/bin:/bin"):
        environment = {"PATH": path, "HOME": "/", "TMPDIR": "/tmp", "SLURM_JOB_ID": "4"}
        return subprocess.Popen(
            [*self.shell, self.folder / "start"], env=environment, start_new_session=True
        )

    def run(self, *argv, **more):
        self.write(*argv, **more)
        return self.begin().wait(30)

    @property
    def end(self):
        return end_of(self.folder)

    @property
    def printed(self):
        return self.output.read_bytes()


@pytest.mark.parametrize("code", [0, 7, 118, 143, 255])
def test_an_exit_code_is_written_down(node, code):
    assert node.run(b"sh", b"-c", b"printf out; printf err >&2; exit %d" % code) == code
    end = node.end
    assert (end.code, end.signalled, end.cannot, end.size) == (code, False, None, 6)
    assert node.printed == b"outerr"
    assert end.cpu_s >= 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_signal_is_told_from_an_exit_code(node, number):
    node.run(b"sh", b"-c", b"kill -%d $$" % number)
    assert (node.end.code, node.end.signalled) == (128 + number, True)


def test_arguments_are_as_they_were_given(node):
    words = [b"", b" ", b"*", b"a'b", b'"', b"$HOME", b"`id`", b"-n", b"a\nb\n", ODD]
    node.run(b"sh", b"-c", b"for word; do printf '<%s>' \"$word\"; done", b"sh", *words)
    assert node.printed == b"".join(b"<%s>" % word for word in words)


def test_the_environment_is_what_was_given_and_slurms_own(node):
    given = {
        b"PATH": b"/usr/bin:/bin", b"PWD": os.fsencode(node.directory), b"ODD": ODD, b"EMPTY": b"",
        b"BASH_FUNC_module%%": b"() { :\n}", b"with.dot": b"1", b"UID": b"77", b"IFS": b"x",
        b"_jobd": b"2", b"LC_ALL": b"nowhere", b"SLURM_JOB_ID": b"another",
    }  # fmt: skip
    node.run(b"cat", b"/proc/self/environ", environment={**given, b"CUDA_VISIBLE_DEVICES": b""})
    found = dict(one.split(b"=", 1) for one in node.printed.split(b"\0") if one)
    assert found == {**given, b"SLURM_JOB_ID": b"4"}


def test_what_an_interactive_bash_leaves_in_the_environment_is_kept(node):
    given = {b"PATH": b"/usr/bin:/bin", b"_": b"/usr/bin/it's"}
    node.run(b"/usr/bin/env", b"-0", environment=given)
    found = dict(one.split(b"=", 1) for one in node.printed.split(b"\0") if one)
    assert found == {**given, b"SLURM_JOB_ID": b"4"}


def test_directory_umask_and_input(node):
    cwd = os.fsencode(node.directory) + b"/a'\xff b"
    os.mkdir(cwd)
    given = node.directory / "given"
    given.write_bytes(b"from a file")
    node.run(
        b"sh", b"-c", b"pwd; umask; cat", cwd=cwd, umask=0o027, stdin=os.fsencode(given),
        environment={b"PATH": b"/bin:/usr/bin"},
    )  # fmt: skip
    assert node.printed == cwd + b"\n0027\nfrom a file"


def test_a_script_runs_in_the_place_of_its_name(node):
    program = node.directory / "7.script"
    program.write_bytes(b"#!/bin/sh\necho $0 $1; exit 3\n")
    program.chmod(0o700)
    assert node.run(b"script", b"x", program=os.fsencode(program)) == 3
    assert node.printed == b"%s x\n" % os.fsencode(program)


@pytest.mark.parametrize("name", [b"echo", b"test", b"exit", b"finish", b"cd"])
def test_a_program_is_no_builtin_and_no_function(node, name):
    program = node.directory / os.fsdecode(name)
    program.write_bytes(b"#!/bin/sh\nprintf it\n")
    program.chmod(0o700)
    node.run(name, environment={b"PATH": os.fsencode(node.directory)})
    assert node.printed == b"it"
    assert node.end.code == 0


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([b"nowhere"], "nowhere: not found"),
        ([b"/nowhere/at all"], "/nowhere/at all: not found"),
        ([b"/tmp"], "/tmp: is a directory"),
        ([b"/etc/passwd"], "/etc/passwd: permission denied"),
        ([b"./plain"], "./plain: permission denied"),
    ],
)
def test_what_cannot_be_started_is_said(node, argv, why):
    (node.directory / "plain").touch()
    node.run(*argv)
    assert node.end.cannot == why
    assert node.printed == f"jobd: could not start: {why}\n".encode()


def test_a_directory_that_is_not_there(node):
    node.run(b"true", cwd=b"/no'where\n%s")
    assert node.end.cannot == "/no'where\n%s: directory: cannot be entered"
    assert (
        node.printed
        == rb"jobd: could not start: /no'where\n%s: directory: cannot be entered" + b"\n"
    )


@pytest.mark.parametrize("name", [b"\x1b[2Jgone", b"/no/\x1b]0;title\x07", b"./it's\n\xff"])
def test_what_is_said_of_it_drives_no_terminal(node, name):
    node.run(name)
    assert node.end.cannot == f"{name.decode('utf-8', 'replace')}: not found"
    shown = printable(name.decode("utf-8", "replace"))
    assert node.printed == f"jobd: could not start: {shown}: not found\n".encode()


def test_an_input_that_is_not_there_is_not_told_in_the_output(node):
    node.run(b"true", stdin=b"/nowhere/secret")
    assert node.end.cannot == "stdin: /nowhere/secret: cannot be read"
    assert node.printed == b""


def test_it_starts_once(node):
    assert node.run(b"printf", b"x") == 0
    assert node.begin().wait(30) == script.AGAIN
    assert node.printed == b"x"


def test_it_does_not_start_where_its_script_is_gone(node):
    """Its folder is being deleted, and a mark of ours was in it a moment ago."""
    node.write(b"printf", b"x")
    (node.folder / "start").rename(node.directory / "turn")
    shell = subprocess.run([*node.shell, node.directory / "turn"], check=False, timeout=30)
    assert shell.returncode == script.AGAIN
    assert node.printed == b""


def test_it_does_not_start_where_a_directory_is_the_mark(node):
    """As it is made where there are no hard links; each shell has its own way to refuse it."""
    node.write(b"printf", b"x")
    (node.folder / "begun").mkdir()
    assert node.begin().wait(30) == script.AGAIN
    assert node.printed == b""


def test_it_survives_what_ends_its_command(node):
    node.write(b"sh", b"-c", b"echo up; sleep 100")
    shell = node.begin()
    wait_until(lambda: node.printed == b"up\n")
    os.killpg(shell.pid, signal.SIGTERM)
    assert shell.wait(30) == 143
    assert node.end.code == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN + 3])
def test_a_signal_that_comes_just_before_the_command_is_meant_for_it(node, number):
    """It counts as begun by then, so nobody keeps the signal back any more."""
    between = node.directory / "renice"
    between.write_text(f"#!/bin/sh\nkill -{int(number)} $PPID\n")
    between.chmod(0o755)
    node.write(b"echo", b"ran", nice=1)
    assert node.begin(path=f"{node.directory}:/usr/bin:/bin").wait(30) == 128 + number
    assert (node.end.code, node.end.signalled) == (128 + number, True)
    assert node.printed == b""


def test_a_command_that_catches_a_signal_ends_as_it_wants(node):
    node.write(b"sh", b"-c", b"trap 'exit 5' USR1; echo up; while :; do sleep 0.05; done")
    shell = node.begin()
    wait_until(lambda: node.printed == b"up\n")
    os.killpg(shell.pid, signal.SIGUSR1)
    assert shell.wait(30) == 5
    assert node.end.code == 5


def test_without_the_shared_directory_nothing_starts(tmp_path):
    stub = script.stub(AttemptPaths(b"/nowhere/it's", b"/nowhere/output"))
    assert subprocess.run(["sh"], input=stub, check=False).returncode == script.NOT_SHARED


def test_quotes_are_quoted():
    assert quoted(b"it's") == b"'it'\\''s'"


def test_where_no_end_can_be_written_the_exit_code_is_still_that_of_the_command(node):
    node.write(b"sh", b"-c", b"exit 5")
    _spoil(node.folder)
    assert node.begin().wait(30) == 5
    assert not (node.folder / "end").exists()


def _spoil(folder):
    (folder / "end.new").unlink()
    (folder / "end.new").symlink_to("/nowhere/at all")


@pytest.mark.parametrize(("line", "code"), [(b"exit 5", 5), (b"kill -9 $$", 137)])
def test_its_end_is_written_on_a_full_disk(node, small_disk, line, code):
    """It has had the room for that since before it began."""
    node.folder = small_disk / "folder"
    node.folder.mkdir()
    node.write(b"sh", b"-c", line)
    with open(small_disk / "filling", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    node.begin().wait(30)
    assert (node.end.code, node.end.signalled) == (code, code > 128)


def test_its_end_is_told_where_no_file_can_be_made(node, small_disk):
    """There may be no room for the mark, but a file can be renamed."""
    node.folder = small_disk / "folder"
    node.folder.mkdir()
    line = b"cd folder; while true >x$((i += 1)); do :; done 2>&-; exit 5"
    node.write(b"sh", b"-c", line, cwd=os.fsencode(small_disk))
    node.begin().wait(30)
    assert (node.end.code, node.end.size) == (5, 0)
    assert not (node.folder / "end.new").exists()


def test_an_end_that_is_not_whole_is_none(node):
    node.write(b"sh", b"-c", b"exit 5")
    assert node.end is None
    aside = node.folder / "end.new"
    aside.write_bytes(b"node n1\ncode 5 \n")
    assert node.end is None
    (node.folder / "end").touch()
    assert node.end.code == 5
    assert node.end.at == aside.stat().st_mtime_ns // 1000


def test_an_end_of_the_version_before_is_read(node):
    (node.folder / "end").write_bytes(b"node n1\ncode 5 \n\n\n")
    assert (node.end.code, node.end.node) == (5, "n1")


@pytest.fixture
def small_disk(tmp_path):
    """Whatever is mounted there goes with the test."""
    place = tmp_path / "disk"
    place.mkdir()
    options = "size=64k,nr_inodes=20"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


# --- one after another ------------------------------------------------------------------------


class Pack:
    """The folder of an allocation, and its shell on a node."""

    numbers = itertools.count()

    def __init__(self, node, size=9):
        self.node = node
        self.folder = node.directory / "pa'ck"
        self.folder.mkdir()
        (self.folder / "start").write_bytes(script.pack_script(os.fsencode(self.folder), size))

    def hand_over(self, turn, *argv, **more):
        """The folder that its end will be in."""
        self.node.folder = self.folder.with_name(f"attempt-{next(self.numbers)}")
        self.node.folder.mkdir()
        self.node.write(*argv, **more)
        os.link(self.node.folder / "start", self.folder / str(turn))
        return self.node.folder

    def begin(self, path="/usr/bin:/bin"):
        environment = {"PATH": path, "SLURMD_NODENAME": "n3"}
        return subprocess.Popen(
            [*self.node.shell, self.folder / "start"], env=environment, start_new_session=True
        )


def test_attempts_run_one_after_another_until_there_were_so_many(node):
    pack = Pack(node, size=3)
    folders = [pack.hand_over(turn, b"sh", b"-c", b"exit %d" % turn) for turn in (1, 2)]
    shell = pack.begin()
    wait_until((folders[1] / "end").exists)
    folders.append(pack.hand_over(3, b"sh", b"-c", b"umask; exit 3", umask=0o027))
    assert shell.wait(30) == 0
    assert [end_of(folder).code for folder in folders] == [1, 2, 3]
    assert {end_of(folder).node for folder in folders} == {"n3"}
    assert node.printed == b"0027\n"
    assert not pack.folder.exists()


def test_it_leaves_when_nobody_comes_and_when_its_folder_is_gone(node):
    pack = Pack(node)
    folder = pack.hand_over(1, b"/nowhere/program")
    shell = pack.begin()
    assert shell.wait(30) == 0
    assert end_of(folder).cannot == "/nowhere/program: not found"
    assert not pack.folder.exists()
    gone = Pack(node)
    folder = gone.hand_over(1, b"true")
    shell = gone.begin()
    wait_until((folder / "end").exists)
    shutil.rmtree(gone.folder)
    assert shell.wait(30) == 0


def test_one_that_was_begun_elsewhere_is_passed_over(node):
    pack = Pack(node, size=2)
    first = pack.hand_over(1, b"sh", b"-c", b"exit 1")
    (first / "begun").touch()
    second = pack.hand_over(2, b"sh", b"-c", b"exit 2")
    # What became of the first is not known here: that it ended well is nobody's to say.
    assert pack.begin().wait(30) == script.AGAIN
    assert not (first / "end").exists()
    assert end_of(second).code == 2


def test_one_whose_end_cannot_be_written_ends_the_pack_with_its_code(node):
    pack = Pack(node)
    first = pack.hand_over(1, b"sh", b"-c", b"exit 5")
    _spoil(first)
    assert pack.begin().wait(30) == 5
    assert not pack.folder.exists()


def test_a_signal_for_the_command_leaves_the_pack_alone(node):
    pack = Pack(node, size=2)
    first = pack.hand_over(1, b"sh", b"-c", b"echo up; exec sleep 100")
    second = pack.hand_over(2, b"sh", b"-c", b"exit 2")
    shell = pack.begin()
    wait_until(lambda: node.printed == b"up\n")
    os.killpg(shell.pid, signal.SIGTERM)
    assert shell.wait(30) == 0
    assert end_of(first).code == 143
    assert end_of(second).code == 2


def test_cpu_time_is_that_of_the_attempt_alone(node):
    pack = Pack(node, size=2)
    busy = pack.hand_over(1, b"sh", b"-c", b"until [ $((i += 1)) = 200000 ]; do :; done")
    idle = pack.hand_over(2, b"true")
    assert pack.begin().wait(30) == 0
    assert end_of(busy).cpu_s > 2 * end_of(idle).cpu_s


def test_what_one_leaves_in_the_shell_does_not_reach_the_next(node):
    """The same shell runs both."""
    pack = Pack(node, size=3)
    pack.hand_over(1, b"sh", b"-c", b"kill -9 $$", environment={b"PATH": b"/bin", b"A": b"1"})
    cannot = pack.hand_over(2, b"nowhere")
    folder = pack.hand_over(3, b"env", environment={b"PATH": b"/usr/bin:/bin"})
    assert pack.begin().wait(30) == 0
    assert end_of(cannot).cannot == "nowhere: not found"
    assert (end_of(folder).code, end_of(folder).signalled) == (0, False)
    assert b"\nA=" not in node.printed
    assert b"_jobd" not in node.printed


def test_it_is_seldom_looked_for_the_next_one(node):
    """Each look is a program, and all allocations of a node look at the same time."""
    sleeps = node.directory / "sleep"
    sleeps.write_text(f'#!/bin/sh\necho "$1" >>"{node.directory}/slept"\n')
    sleeps.chmod(0o755)
    pack = Pack(node)
    pack.hand_over(1, b"true")
    assert pack.begin(path=f"{node.directory}:/usr/bin:/bin").wait(30) == 0
    slept = [float(line) for line in (node.directory / "slept").read_text().split()]
    assert len(slept) <= 6
    assert sum(slept) == pytest.approx(1.9)


def test_without_fractions_of_a_second_it_waits_as_long(node):
    sleeps = node.directory / "sleep"
    sleeps.write_text(
        f'#!/bin/sh\ncase $1 in *.*) exit 1 ;; esac\necho "$1" >>"{node.directory}/slept"\n'
    )
    sleeps.chmod(0o755)
    pack = Pack(node)
    pack.hand_over(1, b"true")
    assert pack.begin(path=f"{node.directory}:/usr/bin:/bin").wait(30) == 0
    assert (node.directory / "slept").read_text().split() == ["1"] * 2


def test_nice_is_that_of_the_attempt_alone(node):
    pack = Pack(node, size=2)
    pack.hand_over(1, b"nice", nice=15)
    pack.hand_over(2, b"nice")
    assert pack.begin().wait(30) == 0
    assert node.printed == b"15\n%d\n" % os.nice(0)
