"""What a stage printed is kept for the run's logs; what is too much is counted."""

from __future__ import annotations

import sys

from dvc_wandb.recorder.console import LIMIT, ConsoleCopy


def test_both_streams_are_copied_in_their_order():
    with ConsoleCopy("train") as console:
        print("one")
        print("two", file=sys.stderr)
    assert console.text == "one\ntwo\n"


def test_what_is_beyond_the_limit_is_counted():
    with ConsoleCopy("train") as console:
        sys.stdout.write("x" * (LIMIT - 1))
        sys.stdout.write("yz\n")
        sys.stdout.write("0" * 1500)
    assert console.text.startswith("x" * (LIMIT - 1) + "y\n… and 1,502 more characters; ")
