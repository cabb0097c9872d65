"""Ctrl-C is remembered where Python drops it, and waiting ends."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.working_tree import take_interrupts

DROPPED = """
import signal, threading, time
from dvc_wandb import interrupts
from dvc_wandb.client import timeouts

class Drops:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

{before}
interrupts.install_handler()
Drops()
try:
    print(timeouts.wait_for(timeouts.in_background(lambda: {work}), lambda: None))
except KeyboardInterrupt:
    print("interrupted")
"""


def run(work: str, before: str = "signal.signal(signal.SIGINT, signal.default_int_handler)") -> tuple[str, str]:
    program = DROPPED.format(work=work, before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, done.stderr


def test_an_interrupt_that_a_destructor_drops_ends_the_wait():
    told, errors = run("threading.Event().wait()")
    assert told == "interrupted\n"
    assert "Exception ignored in" in errors


def test_a_process_that_was_started_to_ignore_interrupts_goes_on_doing_so():
    assert run("time.sleep(1.5) or 'done'", "signal.signal(signal.SIGINT, signal.SIG_IGN)") == ("done\n", "")


def test_an_interrupt_after_the_command_ends_the_process_without_a_traceback():
    """The SDK's own exit printed one, and the command said 0."""
    code = """
import atexit, os, signal, sys
from dvc_wandb.cli.main import main
atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv = ["dvc-wandb", "no-such-command"]
main()
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=take_interrupts)
    assert done.returncode == -signal.SIGINT
    assert "Traceback" not in done.stderr
