"""Libraries that are imported in part are whole for whoever imports them later."""

import subprocess
import sys

import pytest

SPARING = """
import sys
from jobctl import lean
lean.msgspec()
lean.rpyc()
assert not {"rpyc", "ssl", "typing_extensions"} & sys.modules.keys(), sys.modules.keys()
"""


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "later",
    [
        "import rpyc; rpyc.utils.server.ThreadedServer",
        "import ssl; ssl.create_default_context()",
        "import typing_extensions",
        "import jobd.daemon.rpc.protocol",
        "import textual",
    ],
)
def test_all_of_it_can_be_imported_later(later):
    run(SPARING + later)


def test_what_is_imported_already_stays_as_it_is():
    run(
        "import ssl, typing_extensions, rpyc, sys\n"
        "before = dict(sys.modules)\n"
        "from jobctl import lean\n"
        "lean.msgspec()\n"
        "lean.rpyc()\n"
        "for name in ('ssl', 'typing_extensions', 'rpyc', 'rpyc.core'):\n"
        "    assert sys.modules[name] is before[name]\n"
    )


def test_who_cannot_do_without_gets_it(tmp_path):
    (tmp_path / "needing.py").write_text("import needed\n")
    (tmp_path / "needed.py").write_text("")
    run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from jobctl import lean\n"
        "lean._import('needing', without='needed')\n"
        "assert {'needing', 'needed'} <= sys.modules.keys()\n"
    )
