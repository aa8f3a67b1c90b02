"""Scripts, lists of commands and manifests are read as editors save them."""

import codecs

import pytest

from jobd.contract.models import Graph, Submit, Submitted
from tests.jobctl.fakes import FakeClient, jobctl

SCRIPT = b"#!/bin/sh\n#JOBCTL -n night --tag a\n#JOBCTL -t b --after 1\n#JOBCTL --after 2\necho 1\n"
LINES = b"echo 1\n# no\necho 2\n"
MANIFEST = b"# jobs\n[jobs.a]\ncommand = 'true'\n"


def saved(content, end, mark):
    return (codecs.BOM_UTF8 if mark else b"") + content.replace(b"\n", end)


def sent(way, content, tmp_path, *options, stdin=False):
    path = tmp_path / "file"
    path.write_bytes(content)
    client = FakeClient(submit=Submitted(first=1, last=1), graph=Submitted(first=1, last=1))
    name = "-" if stdin else str(path)
    result = jobctl("submit", *options, f"--{way}", name, client=client, stdin=content)
    assert result.code == 0, result
    return (client.of(Submit) + client.of(Graph))[0]


@pytest.mark.parametrize("stdin", [False, True])
@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
class TestAsSaved:
    def test_a_script(self, end, mark, stdin, tmp_path):
        request = sent("script", saved(SCRIPT, end, mark), tmp_path, stdin=stdin)
        assert request.commands[0].script == SCRIPT
        options = request.options
        assert (options.name, options.tags, options.after) == (
            "night",
            ["a", "b"],
            [(1, 1), (2, 2)],
        )

    def test_a_list_of_commands(self, end, mark, stdin, tmp_path):
        request = sent("file", saved(LINES, end, mark), tmp_path, stdin=stdin)
        assert [command.argv for command in request.commands] == [[b"echo 1"], [b"echo 2"]]

    def test_a_manifest(self, end, mark, stdin, tmp_path):
        request = sent("manifest", saved(MANIFEST, end, mark), tmp_path, stdin=stdin)
        assert [node.options.name for node in request.nodes] == ["a"]


def test_the_command_line_says_tags_and_parents_instead(tmp_path):
    options = sent("script", SCRIPT, tmp_path, "-t", "c", "--after", "9").options
    assert (options.tags, options.after) == (["c"], [(9, 9)])


def test_a_program_is_copied_as_it_is(tmp_path):
    program = b"\x7fELF\r\n\0\r\n"
    assert sent("script", program, tmp_path).commands[0].script == program


@pytest.mark.parametrize(
    ("way", "content", "said"),
    [
        ("file", b"true\n\n" + b"x" * 131_072, "line 3: longer than 131,071 bytes"),
        ("file", b"true\r\na\0b\r\n", "line 2: a command cannot contain NUL"),
        ("file", "true\n".encode("utf-16"), "line 1: no UTF-8, but UTF-16"),
        ("script", "#!/bin/sh\n".encode("utf-16"), "line 1: no UTF-8, but UTF-16"),
        ("script", b"#!/bin/sh\r\n#JOBCTL --nope\r\n", "line 2: no option --nope"),
        ("script", b"\n#JOBCTL -n caf\xe9 --key \xe9\n", "line 2: Invalid value for '--key'"),
        ("manifest", MANIFEST.decode().encode("utf-16"), "line 1: no UTF-8, but UTF-16"),
        ("manifest", MANIFEST + b"x = '\xe9'\n", "line 4: no UTF-8"),
        ("manifest", MANIFEST + b"nice = " + b"1" * 5000, "line 4: a number is too long"),
        ("manifest", b'{"jobs": {"a": {"command": "x",\n"nice": ' + b"1" * 5000 + b"}}}",
         "line 2: a number is too long"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stdin", [False, True])
def test_each_complaint_names_file_and_line(way, content, said, stdin, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    name = "-" if stdin else str(path)
    result = jobctl("submit", f"--{way}", name, stdin=content)
    assert result.code == 2
    assert result.stderr.startswith(f"jobctl: {'stdin' if stdin else path}, {said}")
