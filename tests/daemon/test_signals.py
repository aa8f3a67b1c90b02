"""Signals that come while a process is replaced are heard by what it becomes."""

import signal
import subprocess
import sys

REPLACED = """
import os, queue, signal, sys
from jobd.daemon.signals import HEARD, Signals

if "again" in sys.argv:
    print(*sorted(signal.Signals(number).name for number in signal.sigpending()))
else:
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    heard, signals = queue.SimpleQueue(), Signals()
    signals.hand_on()  # it has not begun
    signals.start(heard.put)
    os.kill(os.getpid(), signal.SIGTERM)
    print(signal.Signals(heard.get()).name, flush=True)
    signals.hand_on()
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    signals.hand_on()  # it has ended
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], sys.argv[1], "again"])
"""


def test_what_comes_after_the_thread_has_ended_waits_for_what_the_process_becomes():
    command = [sys.executable, "-c", REPLACED, REPLACED]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "SIGTERM\nSIGINT SIGTERM\n"


def test_a_signal_of_another_process_does_not_end_it():
    code = """
import signal
from jobd.daemon.signals import HEARD, Signals

signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
signals = Signals()
signals.start(lambda number: print(signal.Signals(number).name, flush=True))
print("begun", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "begun\n"
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            process.send_signal(number)
            assert process.stdout.readline() == f"{number.name}\n"
        process.stdin.close()
