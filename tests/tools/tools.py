"""The tools that are recorded, and how each says how far it is: its own words, not the product's.

A shell line runs in the directory that `place.py` lays out; `{url}` is the slow server there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.tools.place import WAV_SECONDS

PERCENT = r"(?<![\d.])(\d+(?:\.\d+)?) ?%"
COUNT = r"(\d+)/(\d+)"


class Tool(NamedTuple):
    name: str
    version: str
    """Shell line whose output has the version."""
    command: str
    says: str = PERCENT
    """Its last match in the output is what the tool says: a percentage, or n and m."""
    shows: bool = True
    """Whether it prints how far it is where there is no terminal, and in a form that is known."""
    seconds: float = 0
    """Length of what is played; then `says` finds minutes and seconds."""

    def said(self, output: str) -> float | None:
        matches = re.findall(self.says, output, re.MULTILINE)
        if not matches:
            return None
        if isinstance(matches[-1], str):
            return float(matches[-1])
        done, total = matches[-1]
        if self.seconds:
            return round(100 * (60 * float(done) + float(total)) / self.seconds, 2)
        return round(100 * float(done) / float(total), 2) if float(total) else None


PYTHON = "python -c 'from importlib.metadata import version as v; print(v(\"{}\"))'"
TQDM = PYTHON.format("tqdm")
RICH = PYTHON.format("rich")
PYTEST = "pytest --version"
LOOP = "import time, sys; from tqdm import tqdm"
TREE_TO = "rsync -a --bwlimit=2500"
SAYS_FFMPEG = r"time=00:(\d\d):(\d\d\.\d\d)"

SHOWN = [
    Tool("tqdm", TQDM, f"python -c '{LOOP}\nfor _ in tqdm(range(250)): time.sleep(0.01)'"),
    Tool(
        "tqdm-ascii-bytes",
        TQDM,
        f"""python -c '{LOOP}
with tqdm(total=5e6, unit="B", unit_scale=True, ascii=True, desc="model.bin") as bar:
    for _ in range(100): time.sleep(0.02); bar.update(5e4)'""",
    ),
    Tool(
        "tqdm-nested",
        TQDM,
        f"""python -c '{LOOP}
for epoch in tqdm(range(3), desc="Epochs"):
    for i in tqdm(range(60), desc=f"Epoch {{epoch}}", leave=False): time.sleep(0.01)'""",
    ),
    Tool(
        "tqdm-several",
        TQDM,
        f"""python -c '{LOOP}
bars = [tqdm(total=100, position=p, desc=f"shard {{p}}") for p in range(3)]
for i in range(300): bars[i % 3].update(); time.sleep(0.01)'""",
    ),
    Tool(
        "tqdm-phases",
        TQDM,
        f"""python -c '{LOOP}
for phase in ("Downloading", "Training", "Evaluating"):
    for i in tqdm(range(60), desc=phase): time.sleep(0.01)
    tqdm.write(f"{{phase}} is done")'""",
    ),
    Tool(
        "tqdm-postfix",
        TQDM,
        f"""python -c '{LOOP}
bar = tqdm(range(200), desc="Epoch 3")
for i in bar: time.sleep(0.01); bar.set_postfix(loss=0.3, acc="93%")'""",
        r"Epoch 3: +(\d+)%",
    ),
    Tool(
        "huggingface-hub",
        PYTHON.format("huggingface_hub"),
        """python -c '
import time; from huggingface_hub.utils import tqdm
for i in tqdm(range(200), desc="Fetching 200 files"): time.sleep(0.01)'""",
    ),
    Tool(
        "keras",
        PYTHON.format("keras"),
        """KERAS_BACKEND=jax python -c '
import time; from keras.utils import Progbar
for epoch in range(2):
    print(f"Epoch {epoch + 1}/2")
    bar = Progbar(80)
    for i in range(80): time.sleep(0.02); bar.add(1, values=[("loss", 0.3), ("accuracy", 0.93)])
' """,
        r"(\d+)/(80)",
    ),
    Tool(
        "rich",
        RICH,
        """FORCE_COLOR=1 python -c '
import time; from rich.progress import track
for i in track(range(200)): time.sleep(0.01)'""",
    ),
    Tool(
        "alive-progress",
        PYTHON.format("alive-progress"),
        """python -c '
import time; from alive_progress import alive_bar
with alive_bar(200, force_tty=True) as bar:
    for i in range(200): time.sleep(0.01); bar()'""",
    ),
    Tool(
        "progressbar2",
        PYTHON.format("progressbar2"),
        """python -c '
import time, progressbar
for i in progressbar.progressbar(range(200)): time.sleep(0.01)'""",
    ),
    Tool(
        "progress",
        PYTHON.format("progress"),
        """python -c '
import time; from progress.bar import Bar
bar = Bar("Processing", max=200, check_tty=False)
for i in range(200): time.sleep(0.01); bar.next()
bar.finish()'""",
        COUNT,
    ),
    Tool(
        "pip-raw",
        "newpip --version",
        "newpip download --no-cache-dir --no-deps --progress-bar raw -i {url}/simple bulky",
        r"Progress (\d+) of (\d+)",
    ),
    Tool(
        "pip",
        "newpip --version",
        "newpip download --no-cache-dir --no-deps -i {url}/simple bulky",
        r"([\d.]+)/([\d.]+) MB",
    ),
    Tool(
        "pip-23",
        "pip --version",
        "pip download --no-cache-dir --no-deps -i {url}/simple bulky",
        r"([\d.]+)/([\d.]+) MB",
    ),
    Tool(
        "pip-forced-color",
        "newpip --version",
        "FORCE_COLOR=1 newpip download --no-cache-dir --no-deps -i {url}/simple bulky",
        r"([\d.]+)/([\d.]+) MB",
    ),
    Tool("wget", "wget --version", "wget -O got {url}/big.bin"),
    Tool("wget-bar", "wget --version", "wget --progress=bar:force:noscroll -O got {url}/big.bin"),
    Tool("wget-mega", "wget --version", "wget --progress=dot:mega -O got {url}/big.bin"),
    Tool("wget-show", "wget --version", "wget -q --show-progress -O got {url}/big.bin"),
    Tool(
        "curl",
        "curl --version",
        "curl -o got {url}/big.bin",
        r"(?:^|\r) *(\d+) +[\d.]+[kMG]? +\d+ +[\d.]+[kMG]? +\d",
    ),
    Tool("curl-hash", "curl --version", "curl -# -o got {url}/big.bin"),
    Tool(
        "aria2",
        "aria2c --version",
        "aria2c --summary-interval=1 -o got {url}/big.bin",
        r"\((\d+)%\)",
    ),
    Tool("yt-dlp", "yt-dlp --version", "yt-dlp -o got.mp4 {url}/big.mp4"),
    Tool("7z", "7z | head -2", "7z a -bsp1 -mx9 -mmt1 out.7z tree big.bin sound.wav"),
    Tool("rsync-progress2", "rsync --version", f"{TREE_TO} --info=progress2 tree/ copy"),
    Tool("rsync-progress", "rsync --version", f"{TREE_TO} --progress big.bin copy"),
    Tool("rsync-many", "rsync --version", f"{TREE_TO} -P tree/ copy"),
    Tool(
        "rclone",
        "rclone --version",
        "rclone copy --bwlimit 2M --stats 300ms --stats-one-line -v big.bin copy/",
        r"(\d+)%",
    ),
    Tool("pytest", PYTEST, "pytest suite", r"\[ *(\d+)%\]"),
    Tool("pytest-v", PYTEST, "pytest -v suite", r"\[ *(\d+)%\]"),
    Tool(
        "pytest-count",
        PYTEST,
        "pytest -v -o console_output_style=count suite",
        r"\[ *(\d+)/(\d+)\]",
    ),
    Tool("pytest-xdist", PYTEST, "pytest -n 2 suite", r"\[ *(\d+)%\]"),
    Tool("pytest-xdist-v", PYTEST, "pytest -v -n 2 suite", r"\[ *(\d+)%\]"),
    Tool(
        "ffmpeg",
        "ffmpeg -version",
        "ffmpeg -readrate 60 -i sound.wav -y out.mp2",
        SAYS_FFMPEG,
        seconds=WAV_SECONDS,
    ),
    Tool("dd", "dd --version", "pv -q -L 3M big.bin | dd of=copy status=progress", shows=False),
    Tool("git-clone", "git --version", "git clone --progress file://$PWD/repo copy", r" (\d+)% \("),
    Tool("git-fsck", "git --version", "git -C repo fsck --progress", r" (\d+)% \("),
    Tool(
        "cmake-make", "cmake --version", "cmake -S c -B b >/dev/null; make -C b", r"^\[ *(\d+)%\]"
    ),
    Tool(
        "ninja",
        "ninja --version",
        "cmake -G Ninja -S c -B b >/dev/null; ninja -j1 -C b",
        r"^\[(\d+)/(\d+)\]",
    ),
    Tool(
        "ctest",
        "ctest --version",
        "cmake -G Ninja -S c -B b >/dev/null; ninja -C b >/dev/null; ctest --test-dir b",
        r"^ *(\d+)/(\d+) Test",
    ),
    Tool(
        "cargo",
        "cargo --version",
        "cd rust && CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=80 cargo build -j1",
        COUNT,
    ),
    Tool(
        "mksquashfs",
        "mksquashfs -version",
        "mksquashfs tree out.sqfs -processors 1 -progress -comp xz -throttle 60",
        r"(\d+)%$",
        shows=False,
    ),
    Tool(
        "zstd",
        "zstd --version",
        "pv -q -L 4M sound.wav | zstd --progress -19 --stream-size=42336044 -o out.zst",
        shows=False,
    ),
    Tool("pv", "pv --version", "pv -f -L 2500k big.bin >copy"),
    Tool(
        "pv-number", "pv --version", "pv -n -i 0.2 -L 2500k big.bin >copy", r"^(\d+)$", shows=False
    ),
    Tool(
        "parallel-bar",
        "parallel --version",
        "seq 8 | parallel -j2 --bar sleep 0.05 2>&1",
        r"(\d+)% \d+:\d+",
    ),
    Tool(
        "parallel-eta", "parallel --version", "seq 4 | parallel -j2 --eta sleep 0.05", shows=False
    ),
    Tool(
        "parallel-progress",
        "parallel --version",
        "seq 4 | parallel -j2 --progress sleep 0.05",
        shows=False,
    ),
    Tool(
        "borg",
        "borg --version",
        "export BORG_REPO=$PWD/b BORG_BASE_DIR=$PWD"
        " BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes; borg init -e none; borg create ::a tree"
        " sound.wav; borg extract --progress ::a",
    ),
    Tool(
        "restic",
        "restic version",
        "export RESTIC_PASSWORD=x RESTIC_PROGRESS_FPS=20; restic -r r"
        " init; restic -r r backup --limit-upload 2500 tree big.bin",
        shows=False,
    ),
    Tool(
        "ddrescue",
        "ddrescue --version",
        "ddrescue --max-read-rate=2500000 big.bin copy map",
        r"pct rescued: +([\d.]+)%",
    ),
]

SAYS_NOTHING = {
    "df": "df -h / /dev/shm",
    "df-inodes": "df -i / /dev/shm",
    "free": "free -h",
    "top": "top -b -n1 | head -12",
    "uptime": "uptime; cat /proc/loadavg; date +%D",
    "mpstat": "mpstat -P ALL 1 1 | tail -n +3",
    "iostat": "iostat -x 1 1 | tail -n +3",
    "du": "du -h . | tail -20",
    "git-log": "git -C repo log --stat -2 | head -40",
    "git-diff": "git -C repo diff --stat HEAD~1; git -C repo diff -M --raw --summary HEAD~1 HEAD;"
    " git -C repo show --format= HEAD | grep -a simil",
    "gcc": "cd c && gcc -Wall -Wextra -c part1.c part2.c",
    "coverage": "cd suite && pytest -q --cov=. --cov-report=term-missing | tail -18",
    "gcov": "cd c && gcc --coverage main.c -o m && ./m && gcov m-main.c",
    "pylint": "pylint suite/test_1.py",
    "curl-head": "curl -sI {url}/big.bin; curl -sI {url}/simple/",
    "ping": "ping -c 3 -i 0.2 127.0.0.1",
    "zip": "cd suite && python -m zipfile -c ../z.zip *.py; unzip -v ../z.zip",
    "gzip": "gzip -kv text.txt; gzip -l text.txt.gz; zstd -f text.txt; xz -kf text.txt;"
    " xz -l text.txt.xz",
    "7z-list": "7z a -bsp0 l.7z suite; 7z l l.7z",
    "time": "bash -c 'time sleep 0.1'; python -m timeit -n 10 pass",
    "training": """python -c '
for epoch in range(4):
    for step in range(3):
        print(f"loss: {1 / (step + 1):.4f} acc: {90 + step}.2% lr=1e-4")
    print(f"val_acc=0.9{epoch} (9{epoch}%)"); print(f"Accuracy: {91 + epoch}%")
    print(f"train_loss=0.31 val_loss=0.40 top-5: 99.1%, precision 45% recall 50%")'""",
    "json-log": """python -c '
import json
for n in range(8):
    print(json.dumps({"ts": "2026-11-24T01:00:0%dZ" % n, "level": "info", "cpu": "45%",
                      "ratio": 0.5, "msg": "GET /items/3/10 200", "mem": "3/10"}))'""",
    "prose": """printf '%s\n' 'Only 3 of 10 dentists agree, 45% of them twice.' 'It is 3/10 full.'
printf '%s\n' 'Sale: 50% off!' 'version 3.10/4 of 2026-11-24' 'battery: 81% (charging), 2:10 left'
printf '%s\n' 'CPU load 45%' 'Humidity 40 %' '24/7 support' 'GPU 0: 61C, 45% fan, 97% util'
printf '%s\n' 'rated 7.50/10' '192.168.0.0/16 via 10.0.0.1' 'page 3 of the 10 that matter' 'on 1/2'
printf '%s\n' 'precision 45%' 'increase of 12% over last year' 'p99 45ms 12%' '| a | 45% |'""",
    "traceback": "python -c 'import json; json.loads(\"{\")'",
}
"""Shell lines whose output has numbers, and nothing of progress."""

TOOLS = [
    *SHOWN,
    *(Tool(f"none-{name}", "", command, shows=False) for name, command in SAYS_NOTHING.items()),
]
