"""The command `move`, which brings a store from its folder to a database and a bucket, and back."""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from wandb_registry import move
from wandb_registry.cli import command
from wandb_registry.errors import BadInput
from wandb_registry.store_folder import ENDPOINT_VARIABLE, noted_bucket, noted_database, parse_bucket

TELL_SECONDS = 2.0  # between two lines that tell how far it is


def add_to(commands) -> None:
    """Adds the command to the command line."""
    text = "bring the store to a database and a bucket, or back into its folder; again after an interruption it goes on"
    moved = command(commands, "move", text, _move)
    moved.add_argument("--to-database", metavar="URL", help="records go there: postgresql://USER@HOST/DATABASE, empty")
    moved.add_argument("--to-bucket", metavar="s3://BUCKET/PREFIX", help="contents go there; it may be a DVC remote")
    moved.add_argument(
        "--bucket-endpoint",
        metavar="URL",
        help="where that bucket is served (default: REGISTRY_BUCKET_ENDPOINT, else Amazon)",
    )
    moved.add_argument("--to-folder", action="store_true", help="records and contents come back into the folder")
    moved.add_argument("--json", action="store_true", help="one JSON object")


def _move(folder: Path, options: argparse.Namespace) -> None:
    if options.to_folder == bool(options.to_database or options.to_bucket):
        raise BadInput("Say where to: --to-database and --to-bucket, or one of them; or back, --to-folder.")
    if options.bucket_endpoint and not options.to_bucket:
        raise BadInput("--bucket-endpoint says where a bucket is: name it with --to-bucket s3://BUCKET/PREFIX.")
    tell = _Teller()
    if options.to_folder:
        report = move.to_folder(folder, tell)
    else:
        endpoint = options.bucket_endpoint or os.environ.get(ENDPOINT_VARIABLE, "")
        bucket = parse_bucket(options.to_bucket, endpoint) if options.to_bucket else None
        report = move.to_team(folder, options.to_database, bucket, tell)
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        _print(report, folder)


class _Teller:
    """Says how far a move is, a line every few seconds: stdout is for what it did."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._told > TELL_SECONDS:
            print(text, file=sys.stderr, flush=True)
            self._told = time.monotonic()


def _print(report: move.Report, folder: Path) -> None:
    bucket = noted_bucket(folder)
    if report.contents is not None:
        where = bucket.text.split()[0] if bucket else folder
        size = f"{report.bytes / 2**20:,.1f} MiB"
        print(f"{report.contents:,} contents ({size}) are in {where}; {report.sent:,} of them were not before.")
    if report.records is not None:
        where = "the database" if noted_database(folder) else folder
        print(f"{report.records:,} records, {report.events:,} events among them, are in {where}, each compared.")
    if report.contents is None and report.records is None:
        print("All is there already.")
    if report.replaced:
        print(f"In {report.replaced:,} texts a NUL, which PostgreSQL can't hold, became \ufffd.")
    for fault in report.faults:
        print(f"As before: {fault}")
    if report.left:
        print(f"{folder} still holds {' and '.join(report.left)}. Remove them once all is well.")
