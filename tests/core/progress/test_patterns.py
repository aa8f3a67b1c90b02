"""Each row of the tables of forms finds what it is named for, and none takes long."""

import random
import time

import pytest

from jobd.core.progress import patterns

TABLES = {name: getattr(patterns, name) for name in ("SURE", "LIKELY", "COUNTERS", "ALONE")}
FORMS = {form.name: form for table in TABLES.values() for form in table}
EXAMPLES = {
    "tqdm": (" 45%|####5     | 45/100 [00:04<00:05, 10.00it/s]", 45),
    "wget's bar": ("got   16%[==>                 ] 945.50K", 16),
    "git, progressbar2": (" 22% (43 of 200) |#####          | Elapsed Time: 0:00:00", 22),
    "pv, own bars in brackets": ("[=====>        ] 42%", 42),
    "rich": ("Working... ━━━━━━━━━━╸━━━━  45% 0:00:12", 45),
    "curl -#": ("##################                            25.0%", 25),
    "wget's dots": ("  1100K .......... .......... .......... 19% 1.90M 2s", 19),
    "alive-progress, pacman": ("|████     | ▄▆█ 84/200 [42%] in 1s", 42),
    "pytest": ("suite/test_1.py ......                    [ 25%]", 25),
    "cmake, pytest-xdist": ("[gw0] [ 41%] PASSED suite/test_3.py::test_it[3]", 41),
    "apt's install bar": ("Progress: [ 45%] [####......]", 45),
    "apt update": ("45% [Working]", 45),
    "7z": (" 45% 12 + file.txt", 45),
    "parallel": ("12% 1:7=0s 3", 12),
    "rclone": ("INFO  :     2.434 MiB / 5.722 MiB, 43%, 2.026", 43),
    "rsync, scp, aria2": ("      2,686,976  44%    2.44MB/s    0:00:01", 44),
    "a percentage before words": (" 47.1% Extracting: sound.wav", 47.1),
    "a percentage behind words": ("pct rescued:   42.59%, read errors:        0", 42.59),
    "curl": (
        "  5 5859k    5  292k    0     0  2296k      0  0:00:02 --:--:--  0:00:02 2296k",
        5,
    ),
    "docker": ("#7 [builder 3/10] RUN make", 20),
    "ninja's own words": ("[6/26] Building C object part5.c.o", 23.08),
    "apk, pacman, yarn": ("(3/10) installing foo", 20),
    "ninja": ("[12/400] CXX foo.o", 3),
    "ctest": (" 5/20 Test  #5: t4 .........   Passed    0.10 sec", 25),
    "keras": ("31/80 ━━━━━━━━━━ 0s 20ms/step - loss: 0.3000", 38.75),
    "own counters": ("3/10 done", 30),
    "own counters of what begins": ("3/10 downloading part3", 20),
    "pip": ("━━━━━━━━━╸━━━━━ 1.3/6.0 MB 2.4 MB/s eta 0:00:02", 21.67),
    "cargo, progress": ("    Building [=====>                ] 3/13: dep6", 23.08),
    "pytest's counts": ("suite/test_1.py::test_it[3] PASSED              [12/48]", 25),
    "steps that are done": ("Epoch 2/2: loss 0.31", 100),
    "steps that begin": ("Epoch 2/2", 50),
    "pip raw, amounts behind words": ("Progress 1835008 of 6000596", 30.58),
    "a percentage alone": ("45%", 45),
    "a counter alone": ("3/10", 30),
}


def test_every_form_has_an_example():
    assert set(EXAMPLES) == set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_finds_its_example_by_itself(name, monkeypatch):
    line, percent = EXAMPLES[name]
    for table, rows in TABLES.items():
        monkeypatch.setattr(patterns, table, tuple(row for row in rows if row.name == name))
    assert patterns.percent_in(line.strip()) == percent


def test_no_line_takes_long():
    luck = random.Random(1)
    pieces = [
        "=",
        "#>",
        "  ",
        "[",
        "]",
        "|",
        "12",
        "9" * 12,
        "/",
        " of ",
        "45%",
        "45 % ",
        "...",
        ":",
    ]
    pieces += [
        "--:--",
        "0:00:01",
        "loading ",
        "step ",
        "a",
        "ETA",
        "MB/s",
        "5K",
        "━",
        "(",
        ")",
        "in ",
    ]
    lines = [("".join(luck.choices(pieces, k=3)) * 400)[:400] for _ in range(1000)]
    begin = time.thread_time()
    for line in lines:
        patterns.percent_in(line)
    assert (time.thread_time() - begin) / len(lines) < 0.003, "seconds a line"
