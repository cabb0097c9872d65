"""dvc-wandb card: a model's card for Hugging Face's Hub, or any page of Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dvc_wandb.cli.provenance.attest import find_subject
from dvc_wandb.errors import DvcWandbError
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_root
from dvc_wandb.report import card


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "card",
        help="write a model's card: metrics, decision, lineage, with the front matter of Hugging Face's Hub",
        description="Prints the card of the model in production, or of any out as it is committed: its metrics, who "
        "decided and by which rule, what it was made from and with which parameters. The front matter is what "
        "Hugging Face's Hub reads; it takes licence, tags and the like from dvc.yaml's `artifacts:` section. Asks no "
        "registry.",
    )
    parser.add_argument(
        "target", nargs="?", metavar="PATH|MODEL", help="an out, or a registered model (default: what is in production)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write it to FILE, such as README.md")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    subject, decision = find_subject(Pipeline(project_root()), arguments.target)
    found = card.collect(subject.pipeline, subject.out, decision["annotations"] if decision else {})
    page = card.markdown(found)
    if not arguments.output:
        print(page, end="")
        return 0
    try:
        arguments.output.write_text(page)
    except OSError as error:
        raise DvcWandbError(f"{arguments.output} can't be written: {error.strerror}.") from None
    print(f"{arguments.output}: the card of {found.name}, {subject.out.path} {str(subject.out.md5)[:8]}")
    return 0
