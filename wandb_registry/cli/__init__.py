"""The command line `wandb-registry`. `main.py` starts and stops servers; the other modules work on a store's records.

All commands work while a server runs.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def command(
    commands: Any, name: str, text: str, run: Callable[[Path, argparse.Namespace], int | None]
) -> argparse.ArgumentParser:
    """Adds a command. `run` takes the store's folder and the options, and returns the exit status (None for 0)."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser
