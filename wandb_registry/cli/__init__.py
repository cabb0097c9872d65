"""The commands of `wandb-registry` that work on a store, a module each kind: what keeps its accounts, what looks
after it. They work beside a running server.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def command(
    commands: Any, name: str, text: str, run: Callable[[Path, argparse.Namespace], int | None]
) -> argparse.ArgumentParser:
    """Adds a command that `run` does with the store's folder and the options; its help is its description too."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser
