"""A directory with everything that the recorded tools work on, and a slow server on 127.0.0.1."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import os
import random
import struct
import subprocess
import threading
import time
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

BIG = 6_000_000
"""Bytes of the file that is downloaded, copied and packed."""
SECONDS = 2.5
"""Of a download."""
WAV_SECONDS = 240


def lay_out(place: Path) -> None:
    lay_out_files(place)
    (place / "big.mp4").hardlink_to(place / "big.bin")
    (place / "text.txt").write_text("all work and no play\n" * 200_000)
    _c_project(place / "c")
    _crates(place / "rust")
    _repository(place / "repo")


def lay_out_files(place: Path) -> None:
    """What needs no tools to be made."""
    (place / "big.bin").write_bytes(random.Random(1).randbytes(BIG))
    tree = place / "tree"
    tree.mkdir()
    for number in range(40):
        (tree / f"file{number}.dat").write_bytes(os.urandom(150_000))
    _tests(place / "suite")
    _wheel(place / "simple" / "bulky")
    with wave.open(str(place / "sound.wav"), "wb") as sound:
        sound.setparams((2, 2, 44100, 0, "NONE", ""))
        sound.writeframes(struct.pack("<hh", 100, -100) * (44100 * WAV_SECONDS))


def _tests(suite: Path) -> None:
    suite.mkdir()
    for number in range(16):  # the last but one ends at 93 %
        (suite / f"test_{number}.py").write_text(
            "import time, pytest\n@pytest.mark.parametrize('n', range(3))\n"
            "def test_it(n): time.sleep(0.04)\n"
        )


def _wheel(folder: Path) -> None:
    folder.mkdir(parents=True)
    wheel = folder / "bulky-1.0-py3-none-any.whl"
    info = "bulky-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("bulky/data.bin", os.urandom(BIG))
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: bulky\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "index.html").write_text(
        f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>', "utf-8"
    )


def _c_project(folder: Path) -> None:
    folder.mkdir()
    names = [f"part{number}" for number in range(24)]
    for name in names:
        (folder / f"{name}.c").write_text(f"int {name}(void) {{ int unused; return 1; }}\n")
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    sources = " ".join(f"{name}.c" for name in [*names, "main"])
    tests = "".join(f"add_test(NAME t{n} COMMAND sleep 0.1)\n" for n in range(20))
    (folder / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(p C)\nenable_testing()\n"
        f"add_executable(p {sources})\n{tests}"
    )


def _crates(folder: Path) -> None:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.rs").write_text("fn main() {}\n")
    needs = []
    for number in range(12):
        crate = folder / f"dep{number}"
        (crate / "src").mkdir(parents=True)
        (crate / "src" / "lib.rs").write_text("pub fn f() {}\n")
        (crate / "Cargo.toml").write_text(
            f'[package]\nname = "dep{number}"\nversion = "0.1.0"\nedition = "2021"\n'
        )
        needs.append(f'dep{number} = {{ path = "dep{number}" }}\n')
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n'
        + "".join(needs)
    )


def _repository(folder: Path) -> None:
    folder.mkdir()
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    for turn in range(6):
        for number in range(60):
            (folder / f"f{number}").write_bytes(base64.b64encode(os.urandom(12_000)))
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", f"turn {turn}"], check=True)
    (folder / "f0").rename(folder / "renamed")
    with (folder / "renamed").open("ab") as renamed:
        renamed.write(b"more\n" * 200)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "a rename"], check=True)


class _Slow(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source, outputfile) -> None:
        with contextlib.suppress(ConnectionError):  # it asked only whether it is there
            while block := source.read(BIG // 100):
                outputfile.write(block)
                if len(block) > 10_000:
                    time.sleep(SECONDS / 100)

    def log_message(self, *_args) -> None:
        pass


@contextlib.contextmanager
def serve(place: Path) -> Iterator[str]:
    """The address of a slow server."""

    def handler(*args):
        return _Slow(*args, directory=str(place))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
