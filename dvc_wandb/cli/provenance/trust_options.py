"""`--signed-by` and what belongs to it: whose signature is believed."""

from __future__ import annotations

import argparse
from pathlib import Path

from dvc_wandb.errors import DvcWandbError
from dvc_wandb.provenance import trust
from dvc_wandb.provenance.trust import Trusted


def add(parser: argparse.ArgumentParser, *, required: bool, help: str) -> None:
    """Add the options to a command; `help` begins the sentence on --signed-by."""
    parser.add_argument(
        "--signed-by",
        required=required,
        metavar="KEY|ROOTS|IDENTITY",
        help=f"{help}: a public key or the certificates of authorities, PEM files, or who signed in to Sigstore, such "
        "as mika@example.com",
    )
    parser.add_argument(
        "--issuer", metavar="URL", help="for an identity: who vouches for it, such as https://accounts.google.com"
    )
    parser.add_argument(
        "--trust-config", metavar="FILE", type=Path, help="for an identity: the keys of one's own Sigstore"
    )


def trusted(arguments: argparse.Namespace) -> Trusted:
    """Whom the options name. Raises DvcWandbError."""
    if arguments.signed_by is None:
        raise DvcWandbError("--issuer and --trust-config are about who signed: give --signed-by too.")
    return trust.trusted(arguments.signed_by, arguments.issuer, arguments.trust_config)
