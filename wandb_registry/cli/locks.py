"""The option `--needed-by`: files with the md5s that locks name, so that nothing goes that a commit needs."""

import argparse
import re
from pathlib import Path

from wandb_registry.errors import BadInput

MD5 = re.compile(r"\b([0-9a-f]{32})(\.dir)?\b")  # DVC's md5 of a folder ends so


def add_to(command: argparse.ArgumentParser, without: str) -> None:
    """Adds the option; `without` says what a command does that hasn't got it."""
    command.add_argument(
        "--needed-by",
        type=Path,
        action="append",
        metavar="FILE",
        help=f"keep what a dvc.lock or production.json names: any text with md5s; may be repeated. {without}",
    )


def md5s_of(files: list[Path] | None) -> set[str] | None:
    """The md5s that these files name, those of folders also as `MD5.dir`; None where no file was given."""
    return {md5 for file in files for md5 in _md5s(file)} if files else None


def _md5s(file: Path) -> list[str]:
    """The md5s in a file. Raises BadInput where it has none: it is the wrong file, and all it was to spare would go."""
    found = MD5.findall(file.read_text(errors="replace"))
    if not found:
        raise BadInput(f"{file} holds no md5, so it is neither a dvc.lock nor a record. Nothing was deleted.")
    return [*(md5 for md5, _ in found), *(f"{md5}{ending}" for md5, ending in found if ending)]
