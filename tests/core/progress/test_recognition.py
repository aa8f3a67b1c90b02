"""Progress as real tools print it, what only looks like it, and bytes of every kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.progress.recognition import WINDOW, Reading, from_file, from_output, last_line

SHOWN = [
    # tqdm
    ("\r 45%|████▌     | 45/100 [00:04<00:05, 10.00it/s]", 45),
    ("\rEpoch 1:  45%|####5     | 45/100 [00:01<00:02, acc=93%]", 45),
    ("\n\r 40%|████      | 4/10 [00:01<00:01,  3.9it/s]\x1b[A", 40),
    ("\r  0%|          | 0/100 [00:00<?, ?it/s]\r100%|██████████| 100/100 [00:01<00:00]\n", 100),
    # transfers
    ("\r######################                                    45.0%", 45),
    ("\r                                                           0.0%", 0),
    ("      1,234,567  37%    1.20MB/s    0:00:01  ", 37),
    ("      1.23G  37%    1.20MB/s    0:00:01 (xfr#5, to-chk=169/396)", 37),
    ("file.zip      45%[====>      ]  12.3M  1.2MB/s    eta 3s", 45),
    ("  1250K .......... .......... .......... .......... .......... 45% 1.2M 3s", 45),
    ("big.bin       45%  450MB  12.3MB/s   00:10 ETA", 45),
    ("Transferred:   \t  1.2 GiB / 5 GiB, 24%, 10 MiB/s, ETA 3m", 24),
    ("[#2089b0 400.0KiB/33.2MiB(1%) CN:1 DL:115.7KiB ETA:4m51s]", 1),
    ("[download]  45.2% of 12.34MiB at Unknown speed ETA Unknown", 45.2),
    ("1.2GiB 0:00:10 [ 120MiB/s] [====>        ] 45% ETA 0:00:12", 45),
    ("   ━━━━━━━━━━╸━━━━ 1.2/5.4 MB 3.4 MB/s eta 0:00:02", 22.22),
    ("Receiving objects:  45% (450/1000), 1.2 MiB | 1.20 MiB/s\r", 45),
    ("remote: Compressing objects:  45% (45/100)   \x1b[K\r", 45),
    # builds and tests
    ("[12/400] CXX foo.o\n", 3),
    ("[ 45%] Building CXX object a.o\n", 45),
    ("Step 3/10 : RUN make\n", 20),
    ("#7 [builder 3/10] RUN make\n", 20),
    ("tests/x.py ....                                      [ 37%]", 37),
    ("tests/x.py::test_b PASSED                            [ 50%]\n", 50),
    ("[gw0] [ 37%] PASSED tests/x.py::test_b \n", 37),
    (" 45/100 [============>..............] - ETA: 3s - loss: 0.3", 45),
    ("INFO:root:Epoch 4/10 loss=2.3\n", 40),
    ("epoch 4/10", 30),
    ("Iteration 30 / 100\n", 29),
    # packages and archives
    ("\x1b7\x1b[24;0f\x1b[42mProgress: [ 45%]\x1b[49m\x1b[39m [####......] \x1b8", 45),
    ("(Reading database ... 45%", 45),
    ("45% [Working]", 45),
    ("(3/10) installing foo\n", 20),
    (" 45% 12 + file.txt", 45),
    ("[=====|      ] 123/400  30%", 30),
    ("Encoding: task 1 of 1, 45.23 % (12.3 fps, avg 10 fps, ETA 00h01m)", 45.23),
    ("Working... ━━━━━━━━━━╸━━━━  45% 0:00:12", 45),
    # what people write themselves
    ("40%\n", 40),
    ("3/10\n", 30),
    ("40%\b\b\b41%", 41),
    ("progress: 40%\b\b\b41%\b\b\b", 41),
    ("Progress: 45.5 %\n\n\n", 45.5),
    ("Progress |█████-----| 45.5% Complete", 45.5),
    ("[          ] 0%", 0),
    ("[>         ] 2%", 2),
    ("45% complete", 45),
    ("Downloading model.bin: 45%", 45),
    ("Processing file 3 of 10", 20),
    ("2026-11-23 12:00:01 INFO progress: 45%\n", 45),
    ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.278", 1),
    ("###    5.0%", 5),
    # steps that are announced: those before them are done
    ("Epoch 1/2", 0),
    ("Epoch 2/2", 50),
    ("Epoch 2/2\n", 50),
    ("Epoch: 2/2\n80/80 - 1s - 20ms/step", 50),
    ("Epoch 0/9", 0),
    ("Epoch [2/2], Step [100/600], Loss: 0.2512", 50),
    ("STEP 10/10: CMD run", 90),
    ("[2/2] STEP 3/10: RUN make", 50),
    ("#11 [10/10] COPY . .", 90),
    ("[4/4] Building fresh packages...", 75),
    ("[1/4] 🔍  Resolving packages...", 0),
    ("[2/2] Running the tests", 50),
    ("(5/5) Installing: libfoo-1.2 .....[done]", 80),
    ("Processing 3/10", 20),
    ("Downloading file 2/2", 50),
    ("Installing 10/10: foo", 90),
    ("10/10 testing it", 90),
    ("2026-11-23 12:00:01 INFO Round 5 of 5", 80),
    # those that are done, or that measure
    ("Epoch 2/2 done", 100),
    ("Step 3/10: completed", 30),
    ("Finished step 3/10", 30),
    ("Processed 3 of 10 files", 30),
    ("Epoch 2/2, val_accuracy: 0.93", 100),
    ("Round 5/5 took 3.1 s", 100),
    ("files: 3/10", 30),
    ("[26/26] Linking CXX static library libp.a", 100),
    ("[26/26] Compiling C++ object x.o", 100),
    ("line one 10%\n20%\n30%", 30),
]

NOT_SHOWN = [
    "",
    "\n\n",
    "/dev/sda1       100G   50G   50G  50% /",
    "Filesystem     Size  Used Avail Use% Mounted on\n/dev/sda1 100G 50G 50G 50% /mnt/backup",
    "Use%\n 50%",
    "%Cpu(s):  3.1 us,  1.0 sy",
    "CPU usage: 45%",
    "Mem: 45% of 12GB",
    "load average: 0.5, 1/2",
    "battery 45% ETA 3h",
    "load: 45%  12.0 MB/s",
    "coverage: 85%",
    "TOTAL     123   4   97%",
    "jobd/x.py   100   3   97%",
    "accuracy: 93%",
    "accuracy => 45%",
    "| a | 45% | b |",
    "| a | - | 45% |",
    "he     Hebrew     100% (27/27)      (0/27)",
    "[  1/2],",
    "|     | 45% |",
    "[*] 45% of the hosts are up",
    "[-] 45%",
    "45% [+] up",
    "# 45% of requests failed",
    "### 45% and more",
    "> 45% of them",
    "Disk usage of / [ 81%]",
    "disk usage [81%]",
    "Test set: Average loss: 0.0523, Accuracy: 9830/10000 (98%)",
    "Accuracy: 45% (9/20)",
    "Finished epoch 3, top1: 45%",
    "Test Accuracy of the model on the 10000 test images: 97.5 %",
    "|  0%   45C    P8    20W / 250W |   1234MiB / 24576MiB |     97%      Default |",
    "11/23/2026",
    "Test run 11/23/2026",
    "Processing 3/10/2026 data",
    "a/3/10",
    "/usr/lib/3/10",
    "http://x/step 1/2/3",
    "about 2/3 of users",
    "3 of 10 dentists agree",
    "see step 2/3 of the manual",
    "completed in 3/10 s",
    "task completed: 45% faster",
    "After processing, revenue rose by 45%",
    "50% of users dislike this",
    "between 10-45%",
    "[500/400] more than all",
    "[3/0] of nothing",
    "150%",
    "45%\nTraceback (most recent call last):",
    "x" * 5000 + " 45%",
]


@pytest.mark.parametrize(("text", "percent"), SHOWN)
def test_tools_are_understood(text, percent):
    assert from_output(text.encode()) == Reading(percent)


@pytest.mark.parametrize("text", NOT_SHOWN)
def test_nothing_is_read_into_other_lines(text):
    assert from_output(text.encode()) is None


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        (b"40", Reading(40)),
        (b"40\n", Reading(40)),
        (b"40%\n", Reading(40)),
        (b"0", Reading(0)),
        (b"100", Reading(100)),
        (b" 12.5 % ", Reading(12.5)),
        (b"40.5 epoch 4 of 10\n", Reading(40.5, "epoch 4 of 10")),
        (b"40%\tpart \xc3\xbc\n", Reading(40, "part ü")),
        (b"10 a\n20 b\n\n", Reading(20, "b")),
        (b"10\r20", Reading(20)),
        (b"\0\0\0\x0040\n", Reading(40)),
        (b"40 a\x1b[31mb\x07", Reading(40, "ab")),
        (b"40 " + b"m" * 2000, Reading(40, "m" * 1000)),
        (b"1\n" * 5000 + b"2\n", Reading(2)),
        (b"", None),
        (b"\n", None),
        (b"101", None),
        (b"-1", None),
        (b"nan", None),
        (b"1e1", None),
        (b"forty", None),
        (b"40x", None),
        (b"10\nforty\n", None),
        (b"40 " + b"m" * (WINDOW - 6) + b" 50 tail", None),
    ],
)
def test_the_file_of_a_job(content, reading):
    assert from_file(content) == reading


TEXTS = ["45%", "100.5%", "3/10", "12 of 40", "[", "]", "|", "#", "█", "━", " ", "step", "9" * 30]
CONTROLS = ["\r", "\n", "\b", "\x1b", "\x1b[", "\x1b[31m", "\x1b]0;"]
WORDS = ["downloading", ": ", "...", "ETA"]
pieces = st.sampled_from([*TEXTS, *CONTROLS, *WORDS])


@given(st.binary(max_size=5000) | st.lists(pieces).map("".join).map(str.encode))
def test_never_raises_and_never_leaves_0_to_100(content):
    for reading in (from_output(content), from_file(content)):
        assert reading is None or 0 <= reading.percent <= 100
    line = last_line(content, 50)
    assert len(line) <= 50
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)


@given(st.floats(0, 100), st.text(max_size=30))
def test_what_a_job_reports_is_what_is_read(percent, text):
    reading = from_file(f"{percent:.6f} {text!a}\n".encode())
    assert reading == Reading(float(f"{percent:.6f}"), f"{text!a}".strip())


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        (b"", ""),
        (b" \n\r\n", ""),
        (b"one\ntwo\n\n", "two"),
        (b"one\rtwo\r", "two"),
        (b"\x1b[1;31merror:\x1b[0m it\tbroke\x07\n", "error: it broke"),
        (b"\x1b]0;title\x07text", "text"),
        (b"a\x00b\xff", "ab\ufffd"),
        (b"gone\x1b[2K\x1b[1Gkept", "kept"),
        (b"evil\xe2\x80\xaetxt.exe", "eviltxt.exe"),
        (b"cut \x1b[3", "cut"),
        (b"x" * 300, "x" * 200),
    ],
)
def test_last_line(tail, line):
    assert last_line(tail) == line
