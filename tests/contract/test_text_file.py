import codecs

import pytest

from jobd.contract import config_file, text_file
from jobd.contract.errors import BadRequest, JobdError

TEXT = b"#!/bin/sh\n[daemon]\n\nworkers = 5\n"


@pytest.mark.parametrize(
    "written",
    [TEXT, codecs.BOM_UTF8 + TEXT, TEXT.replace(b"\n", b"\r\n"),
     codecs.BOM_UTF8 + TEXT.replace(b"\n", b"\r\n")],
)  # fmt: skip
def test_one_text_however_it_was_saved(written):
    assert text_file.plain(written, "f") == TEXT
    assert text_file.text(written, "f") == TEXT.decode()


@pytest.mark.parametrize("content", [b"", b"a", b"a\r", b"a\nb\r\nc\r\n", b"\x7fELF\0\r\n\xff\xfe"])
def test_what_is_meant_so_stays(content):
    assert text_file.plain(content, "f") == content


def test_a_program_stays_byte_for_byte():
    program = codecs.BOM_UTF8 + b"\r\n\0\r\n"
    assert text_file.plain(program, "f") == program


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_another_encoding_is_named(encoding):
    mark = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}.get(encoding, b"")
    with pytest.raises(BadRequest, match="f, line 1: no UTF-8, but UTF-16 or UTF-32"):
        text_file.plain(mark + TEXT.decode().encode(encoding), "f")


def test_a_byte_that_is_none_is_told_by_its_line():
    with pytest.raises(BadRequest, match="f, line 3: no UTF-8"):
        text_file.text(b"\xef\xbb\xbfa\r\n\r\n\xe9\r\n", "f")


@pytest.fixture
def load(tmp_path):
    def loaded(content):
        path = tmp_path / "config.toml"
        path.write_bytes(content)
        return config_file.load(path)

    return loaded


@pytest.mark.parametrize("change", [bytes, lambda text: text.replace(b"\n", b"\r\n")])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_configuration_is_read_as_it_was_saved(load, change, mark):
    assert load(mark + change(b"# mine\n[daemon]\nworkers = 5\n")).daemon.workers == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[daemon]\nworkers = " + b"9" * 5000, "line 2: a number is too long"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"\r\n[daemon]\r\nworkers = \xe9", "line 3: no UTF-8"),
        (b'[daemon]\nshell = "a\\u0000"', "line 2: [daemon] shell: there is a NUL in"),
        (
            b'[access]\nsocket = "/a"\nviewers = ["a", "b\\u0000"]',
            "line 3: [access] viewers: there is a NUL in",
        ),
        (
            b'[access]\nsocket = "/a"\nadmins = ["@b\\u0000"]',
            "line 3: [access] admins: there is a NUL in",
        ),
        (b'[daemon]\nenv_exclude = ["\\u0000"]', "line 2: [daemon] env_exclude: there is a NUL in"),
    ],
)
def test_a_configuration_that_cannot_be_is_told_by_its_line(load, content, said):
    with pytest.raises(JobdError) as caught:
        load(content)
    assert "config.toml" in caught.value.message
    assert said in caught.value.message
