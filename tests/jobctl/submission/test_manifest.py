"""A manifest: what becomes of it, and what is said of a wrong one."""

import json
from datetime import datetime

import pytest

from jobctl.submission import manifest, manifest_lines
from jobd.contract.errors import BadRequest, ShuttingDown
from jobd.contract.models import Command, Graph, Options, Page, Submitted
from tests.jobctl.fakes import FakeClient, job, jobctl

PIPELINE = """\
# three stages
[defaults]
priority = "low"
env = {CC = "gcc", N = 1}

[jobs.test]
command = "make test"       # a shell line
after = ["build", 12, "3-5"]
after-any = "lint"
time_limit = "1h"

[jobs.build]
command = ["make", "-j4"]
cwd = "src"
tag = ["a", "b"]
env = {CC = "clang"}
retries = 3
retry-on = [1, 75]

[jobs."lint all"]
command = "lint"
priority = 7

[jobs.lint]
command = ["lint"]
after = "lint all"
"""


def parsed(text, name="p.toml"):
    return manifest.parse(text.encode(), name, b"/here")


def refused(text, name="p.toml"):
    with pytest.raises(BadRequest) as caught:
        parsed(text, name)
    return caught.value.message


def one(line):
    """The options of a job that has this line."""
    (node,) = parsed(f'[jobs.a]\ncommand = "x"\n{line}\n').nodes
    return node.options


# --- what becomes of it -------------------------------------------------------------------


def test_parents_come_first_and_otherwise_the_file_decides():
    assert parsed(PIPELINE).names == ["build", "lint all", "lint", "test"]


def test_each_job_is_a_node():
    build, lint_all, lint, test = parsed(PIPELINE).nodes
    assert build.command == Command(argv=[b"make", b"-j4"])
    assert build.cwd == b"/here/src"
    assert build.variables == {b"CC": b"clang", b"N": b"1"}
    assert build.options == Options(
        name="build", priority=-100, tags=["a", "b"], retries=3, retry_on=[1, 75], env=[b"CC", b"N"]
    )
    assert (lint_all.options.name, lint_all.options.priority) == ("lint all", 7)
    assert (lint.parents, lint.cwd) == ([1], b"/here")
    assert test.command == Command(argv=[b"make test"], shell=True)
    assert (test.parents, test.parents_any) == ([0], [2])
    assert test.options.after == [(12, 12), (3, 5)]
    assert test.options.time_limit == 3600
    assert test.variables == {b"CC": b"gcc", b"N": b"1"}


def test_the_same_in_json():
    import tomllib

    same = json.dumps(tomllib.loads(PIPELINE), indent=1)
    assert parsed(same, "p.json").nodes == parsed(PIPELINE).nodes


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('priority = "high"', "priority", 100),
        ("priority = -3", "priority", -3),
        ('name = "other"', "name", "other"),
        ('tags = "x"', "tags", None),
        ('tag = "x"', "tags", ["x"]),
        ('group = "gpu"', "group", "gpu"),
        ("slots = 2", "slots", 2),
        ("gpus = 1", "gpus", 1),
        ("hold = true", "hold", True),
        ("delay = 90", "delay", 90),
        ('delay = "1m30s"', "delay", 90),
        ("delay = 0.5", "delay", 0.5),
        ("at = 2026-12-24T18:00:00Z", "at", 1798135200),
        ('at = "2026-12-24T18:00:00+00:00"', "at", 1798135200),
        ("at = 2026-12-24T18:00:00", "at", datetime(2026, 12, 24, 18).astimezone().timestamp()),
        ('retry-delay = "5s"', "retry_delay", 5),
        ("retry_on = 75", "retry_on", [75]),
        ('retry-on = "1,2"', "retry_on", [1, 2]),
        ("requeue = true", "requeue", True),
        ('key = "build-42"', "key", "build-42"),
        ("nice = 10", "nice", 10),
        ('stdin = "/dev/zero"', "stdin", b"/dev/zero"),
        ('shell = "/bin/bash"', "shell", b"/bin/bash"),
        ('progress = "none"', "progress", "none"),
        ('max-output = "64kB"', "max_output", 64_000),
        ("max_output = 4096", "max_output", 4096),
        ('engine-option = ["--mem=8G"]', "engine_options", ["--mem=8G"]),
    ],
)
def test_options(line, field, value):
    if value is None:
        assert "did you mean: tag" in refused(f'[jobs.a]\ncommand = "x"\n{line}')
    else:
        assert getattr(one(line), field) == value


def test_a_name_in_the_file_comes_before_anything_else():
    assert parsed('[jobs.b]\ncommand="x"\nafter="a"\n[jobs.a]\ncommand="y"').names == ["a", "b"]


def test_a_long_chain_is_sorted_quickly():
    lines = [f'[jobs.j{n}]\ncommand = "x"\nafter = "j{n + 1}"' for n in range(3000)]
    names = parsed("\n".join([*lines, '[jobs.j3000]\ncommand = "x"'])).names
    assert names == [f"j{n}" for n in range(3000, -1, -1)]


# --- what is said of a wrong one ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[jobs.a\n", "p.toml: no TOML: "),
        ("", "p.toml: from 1 to 100,000 jobs, [jobs.NAME]"),
        ("[jobs]", "p.toml: from 1 to 100,000 jobs, [jobs.NAME]"),
        ("\n[job.a]\ncommand = 'x'", "p.toml, line 2: job: there is no such table; did you mean"),
        ("\n[build]\n", "p.toml, line 2: build: there is no such table; jobs are [jobs.build]"),
        ("jobs = 3", "p.toml, line 1: jobs: a table is needed"),
        ("[jobs]\na = 3", "p.toml, line 2: job a: a table is needed"),
        ("[jobs.a]\nname = 'x'", "p.toml, line 1: job a: command: it is missing"),
        ("[jobs.a]\ncommand = ''", "line 2: job a: command: it is empty"),
        ("[jobs.a]\ncommand = []", "line 2: job a: command: a list of words"),
        ("[jobs.a]\ncommand = ['']", "line 2: job a: command: its first word is empty"),
        ("[jobs.a]\ncommand = ['sleep', 5]", 'every word is a text, 5 is none; write "5"'),
        ("[jobs.a]\ncommand = 'a\\u0000'", None),
        ('[jobs.a]\ncommand = "a\\u0000"', "line 2: job a: command: a NUL"),
        ("[jobs.a]\n\nprioritty = 1", "line 3: job a: prioritty: no such key; did you mean: prior"),
        ("[jobs.a]\ncommand = 'x'\narray = '3-1'", "line 3: job a: array: '3-1' is no range"),
        ("[jobs.a]\ncommand = 'x'\narray = '1-2'\nkey = 'k'", "line 4: job a: key: it names one"),
        (
            "[jobs.a]\ncommand = 'x'\narray = '1-100001'",
            "line 1: job a: with this one they are more than 100,000",
        ),
        (
            "[jobs.a]\ncommand='x'\narray='1-2000'\n[jobs.b]\ncommand='x'\narray='1-2000'\nafter=['a']",
            "line 7: job b: after: more than 1,000,000 dependencies",
        ),
        ("[defaults]\narray = '1-2'", "line 2: defaults: array: no such key"),
        ("[jobs.a]\nclean-env = true", "line 2: job a: clean-env: it holds for all jobs"),
        ("[jobs.a]\nafter-any = 1\nafter_any = 2", "line 3: job a: after_any: it comes twice"),
        ("[defaults]\nname = 'x'", "line 2: defaults: name: no such key"),
        ("[defaults]\nslots = 0\n[jobs.a]\ncommand='x'", "p.toml, line 2: defaults: slots: a numb"),
        ("[jobs.a]\ncommand='x'\n[jobs.a]\ncommand='y'", "p.toml: no TOML: Cannot declare"),
        ("[jobs.12]\ncommand = 'x'", "line 1: job 12: a number cannot be a name"),
        ('[jobs."a\\tb"]\ncommand = "x"', "line 1: job a\tb: a name has 1 to 255"),
    ],
)
def test_errors_say_line_job_and_key(text, said):
    if said is None:
        assert parsed(text)
    else:
        assert said in refused(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("priority = 'urgent'", "priority: 'urgent' is none of high, regular, low or an integer"),
        ("priority = true", "priority: a text is needed, not true"),
        ("time-limit = 'soon'", "time-limit: 'soon' is no duration"),
        ("hold = 'yes'", "hold: true or false is needed, not 'yes'"),
        ("retries = '3'", "retries: a number from 0 to 10000 is needed, not '3'"),
        ("slots = true", "slots: a number from 1 to 1000 is needed, not true"),
        ("tag = 'a b'", "tag: 'a b' is no tag"),
        ("group = 'a/b'", "group: 'a/b' is no name of a group"),
        ("retry-on = 0", "retry-on: '0' are no exit codes"),
        ("env = 'A=1'", "env: a table is needed"),
        ("env = {A = true}", "env: A: a text is needed, not true"),
        ("env = {'A=' = 'x'}", "env: 'A=' is no name of a variable"),
        ("cwd = 3", "cwd: a directory is needed, not 3"),
        ("at = 'teatime'", "at: 'teatime' is no time"),
        ("after = 'bild'", "after: there is no job 'bild' in this file; did you mean: build"),
        ("after = 'zzz'", "after: there is no job 'zzz' in this file; a job that exists is named"),
        ("after = [1.5]", "after: names and ids of jobs are needed, not 1.5"),
        ("after = [true]", "after: names and ids of jobs are needed, not true"),
        ("after = 0", "after: '0' is no id; they begin at 1"),
        ("after = '9-3'", "after: '9-3' is no range of ids"),
    ],
)
def test_wrong_values(line, said):
    text = f'[jobs.build]\ncommand = "x"\n\n[jobs.a]\ncommand = "x"\n{line}\n'
    assert f"p.toml, line 6: job a: {said}" in refused(text)


def test_a_circle_is_named():
    text = "".join(
        f'[jobs.{name}]\ncommand = "x"\nafter = "{parent}"\n'
        for name, parent in (("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"))
    )
    assert refused(text).endswith("line 4: job a: they wait for each other: a → b → c → a")


def test_waiting_for_oneself_is_a_circle():
    assert refused('[jobs.a]\ncommand="x"\nafter="a"').endswith("each other: a → a")


def test_two_jobs_of_one_key():
    text = "".join(f'[jobs.{name}]\ncommand = "x"\nkey = "{name.lower()}"\n' for name in "abA")
    assert refused(text).endswith("line 9: job A: key: 'a' is that of a, too")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "p.json: no JSON: "),
        ("[1]", "p.json: a table is needed"),
        (
            '{"jobs": {\n "a": {"command": "x"},\n "a": {"command": "y"}}}',
            "line 3: job a: it comes",
        ),
        ('{"jobs": {"a": {"command": "x",\n "command": "y"}}}', "line 2: job a: command: it comes"),
        ('{"jobs": {"a": {\n "command": "x",\n "hold": 1}}}', "line 3: job a: hold: true or"),
        (
            '{"jobs": {"a": {"command": ["x", "jobs"],\n "x\\"}": 1}}}',
            'line 2: job a: x"}: no such',
        ),
        ('{"jobs": {"a": {"command": "\\ud800"}}}', "line 1: job a: command: '\\ud800' is no text"),
        ("{" * 100_000, "p.json: no"),
        ('{"a":' * 100_000, "p.json: nested too deeply"),
    ],
)
def test_errors_in_json(text, said):
    assert said in refused(text, "p.json")


def test_text_that_is_none():
    with pytest.raises(BadRequest, match=r"p.toml, line 2: no UTF-8"):
        manifest.parse(b"[jobs.a]\ncommand = '\xff'", "p.toml", b"/")


def test_a_key_within_a_long_text_is_none():
    text = 'x = """\n[jobs.a]\nhold = 3\n"""\n[jobs.a]\ncommand = "x"\nhold = 4\n'
    assert manifest_lines.toml_line(text, ("jobs", "a", "hold")) == 7
    assert manifest_lines.toml_line(text, ("jobs", "a")) == 5


def test_a_long_word_that_is_no_key_costs_no_time():
    text = f'x = """\n{"a" * 10_000}\n{"a-" * 5000} . b\n{"." * 5000}\n"""\na . "b c" = 1\n'
    assert manifest_lines.toml_line(text, ("a", "b c")) == 6


# --- submit -------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(PIPELINE)
    return path


def test_it_is_one_graph_and_the_ids_are_a_selector(file):
    client = FakeClient(graph=Submitted(first=12, last=15, workers=3))
    result = jobctl("submit", "-e", "X=1", "--manifest", str(file), client=client)
    assert (result.code, result.out) == (0, "12-15\n")
    (graph,) = client.of(Graph)
    assert [node.options.name for node in graph.nodes] == ["build", "lint all", "lint", "test"]
    assert graph.environment[b"X"] == b"1"


def test_a_person_is_told_which_is_which(file):
    client = FakeClient(graph=Submitted(first=12, last=15, workers=3))
    told = jobctl("submit", "--manifest", str(file), client=client, terminal=True).stderr
    assert "  12 build\n  13 lint all\n  14 lint\n  15 test\n" in told


def test_json_has_the_jobs(file):
    page = Page(jobs=[job(12, "pending", name="build")])
    client = FakeClient(graph=Submitted(first=12, last=12), list=page)
    found = json.loads(jobctl("submit", "--json", "--manifest", str(file), client=client).out)
    assert [(entry["id"], entry["name"]) for entry in found] == [(12, "build")]


def test_it_is_read_from_stdin():
    client = FakeClient(graph=Submitted(first=1, last=4))
    jobctl("submit", "--manifest", "-", client=client, stdin=PIPELINE.encode())
    assert len(client.of(Graph)[0].nodes) == 4
    result = jobctl("submit", "--manifest", "-", client=client, stdin=b"[jobs.a]\nx = 1")
    assert (result.code, result.stderr.startswith("jobctl: stdin, line 2: job a: x: ")) == (2, True)


def test_what_the_daemon_says_of_a_node_is_said_of_the_job(file):
    refusal = BadRequest("job 2 of the graph: --group: there is no group 'x'")
    result = jobctl("submit", "--manifest", str(file), client=FakeClient(graph=refusal))
    assert result.code == 2
    assert f"{file}, line 20: job lint all: --group: there is no group 'x'" in result.stderr


def test_what_is_about_no_node_stays_as_it_is(file):
    client = FakeClient(graph=ShuttingDown("it is shutting down"))
    result = jobctl("submit", "--manifest", str(file), client=client)
    assert result.code == 75
    assert result.stderr.endswith("jobctl: it is shutting down\n")


def test_a_program_that_is_not_there_is_a_warning(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(
        '[jobs.a]\ncommand = ["no-such-program"]\n[jobs.b]\ncommand = ["no-such-either"]\n'
        'after = "a"\n[jobs.c]\ncommand = "x"\ncwd = "/no/such"\n'
        '[jobs.f]\ncommand = ["true"]\nstdin = "/no/such/input"\n'
        '[jobs.d]\ncommand = "no-such-line -x"\n[jobs.e]\ncommand = ["./not-here"]\n'
    )
    result = jobctl(
        "submit", "--manifest", str(path), client=FakeClient(graph=Submitted(first=1, last=5))
    )
    assert (result.code, result.out) == (0, "1-5\n")
    assert "warning: no-such-line: not found in PATH" in result.stderr
    assert "warning: ./not-here: no such file" in result.stderr
    assert "warning: no-such-program: not found in PATH" in result.stderr
    assert "warning: /no/such: no such directory" in result.stderr
    assert "warning: /no/such/input: no such file" in result.stderr
    assert "no-such-either" not in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "high"], "--priority does not go with --manifest; for all its jobs: priority, in"),
        (["--key", "k"], "--key does not go with --manifest; for one of its jobs: key, in its [jo"),
        (["--file", "x"], "--file does not go with --manifest; the file says what is run"),
        (["--", "make"], "give either a command or --manifest FILE"),
    ],
)
def test_the_file_says_itself_what_it_wants(file, words, said):
    client = FakeClient()
    result = jobctl("submit", "--manifest", str(file), *words, client=client)
    assert (result.code, client.sent) == (2, [])
    assert said in result.stderr


def test_a_file_that_is_not_there():
    result = jobctl("submit", "--manifest", "/no/such.toml")
    assert (result.code, result.stderr) == (
        1,
        "jobctl: cannot read /no/such.toml: No such file or directory\n",
    )


@pytest.mark.parametrize(
    "fields",
    ['"progress": "\\ud800"', '"tag": "\\ud800"', '"at": "\\ud800"', '"shell": "\\ud800"',
     '"delay": "\\u0000"', '"key": ""', '"tag": "a\\u0000"', '"progress": "a\\u0000"'],
)  # fmt: skip
def test_what_no_message_can_carry_is_told_of_its_key(fields):
    key = fields.split('"')[1]
    text = f'{{"jobs": {{"a": {{"command": "true",\n{fields}}}}}}}'
    with pytest.raises(BadRequest, match=f"line 2: job a: {key}: "):
        manifest.parse(text.encode(), "m.json", b"/")


def test_an_array_is_so_many_jobs_and_who_waits_for_it_waits_for_all():
    found = parsed(
        "[jobs.sum]\ncommand = 'x'\nafter = ['part']\n"
        "[jobs.part]\ncommand = 'x'\narray = '1-2,7'\nafter-any = ['get']\n"
        "[jobs.get]\ncommand = 'x'\n"
        "[jobs.one]\ncommand = 'x'\narray = 5\n"
    )
    told = [(name, node.array_index) for name, node in zip(found.names, found.nodes, strict=True)]
    assert told == [
        ("get", None), ("part", 1), ("part", 2), ("part", 7), ("sum", None), ("one", 5),
    ]  # fmt: skip
    places = dict(zip(found.names, found.nodes, strict=True))
    assert places["part"].parents_any == [0]
    assert places["sum"].parents == [1, 2, 3]
