"""An engine that somebody else has written, installed beside jobd and found by its entry point."""

import pytest

pytestmark = pytest.mark.e2e
ENGINE = '''
"""Jobs that run nowhere, print where that is, and end with 4."""

import os

from jobd.engines.base import Heritage
from jobd.engines.fake import FakeEngine, World


class Elsewhere(FakeEngine):
    def __init__(self, context):
        super().__init__(context, World(host="elsewhere"))
        mine = context.heritage
        files = {name: os.readlink(f"/proc/self/fd/{fd}") for name, fd in mine.descriptors.items()}
        with open(os.environ["TRACE"], "a") as trace:
            trace.write(f"{context.name} {mine.data!r} {files}\\n")
        held = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
        self.left = Heritage({"zero": held}, b"\\x00 for the next")

    def start(self, launch):
        process = super().start(launch)
        process.attempt.prints(b"nowhere\\n")
        process.attempt.ends(exit_code=4)
        return process
'''


@pytest.fixture
def outside(instance, home):
    """The instance, into whose environment the engine was installed."""
    place = home / "installed"
    distribution = place / "elsewhere-1.0.dist-info"
    distribution.mkdir(parents=True)
    (place / "elsewhere.py").write_text(ENGINE)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    points = "[jobd.engines]\nelsewhere = elsewhere:Elsewhere\n"
    (distribution / "entry_points.txt").write_text(points)
    instance.env["PYTHONPATH"] = str(place)
    instance.env["TRACE"] = str(home / "trace")
    instance.home.mkdir(mode=0o700)
    return instance


def configure(instance, text):
    instance.paths.config.write_text(text)


def test_a_group_runs_on_an_engine_from_outside(outside, home):
    outside.configure("[groups.far]\nengine = 'elsewhere'\n")
    outside.start()
    outside.jobctl("submit", "-g", "far", "-w", "true", code=4)
    assert outside.jobctl("logs", "1").stdout == "nowhere\n"
    assert "engine elsewhere: it is there\n" in outside.jobd("check").stdout
    outside.jobctl("submit", "-w", "echo here; exit 5", code=5)
    assert outside.jobctl("logs", "2").stdout == "here\n"
    job = outside.job(1)
    assert (job.host, job.pid, job.exit_code) == ("elsewhere", None, 4)
    assert (home / "trace").read_text() == "elsewhere b'' {}\n"
    outside.jobd("check")


def test_what_it_leaves_comes_to_the_one_after_it(outside, home):
    """By way of a daemon that becomes a supervisor, since its own was killed."""
    outside.start("--engine", "elsewhere")
    old = outside.status()
    assert old.engine == "elsewhere"
    outside.kill(old.supervisor_pid)
    outside.answers_anew(old.pid)
    begun = (home / "trace").read_text().splitlines()
    assert begun == [
        "elsewhere b'' {}",
        r"elsewhere b'\x00 for the next' {'zero': '/dev/zero'}",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[groups.far]\nengine = 'nowhere'\n", "[groups.far] engine: there is no 'nowhere'"),
        ("[engine.elsewhere]\nspeed = 3\n", "[engine.elsewhere] has no key speed"),
        (
            "[daemon]\nengine = 'elsewhere'\n[engine.elsewhere]\nspeed = 3\n",
            "[engine.elsewhere] has no key speed",
        ),
        ("[engine.nowhere]\n", "[engine.nowhere]: there is no 'nowhere'; known are: elsewhere, "),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_by_start_and_by_check(outside, text, said):
    outside.start()
    outside.jobd("stop")
    configure(outside, text)
    started = outside.run("jobd", "start")
    assert started.returncode in (1, 2)
    assert said in started.stderr
    assert "Traceback" not in started.stderr
    checked = outside.run("jobd", "check")
    assert checked.returncode == 1
    assert said in checked.stdout + checked.stderr
