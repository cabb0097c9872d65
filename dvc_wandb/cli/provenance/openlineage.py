"""dvc-wandb openlineage: sends what dvc.lock holds to whoever collects OpenLineage's events, such as Marquez."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import requests

from dvc_wandb.client.http_client import root_cause
from dvc_wandb.errors import DvcWandbError, one_line
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.project.settings import project_name, project_root, tmp_folder

API_KEY = "OPENLINEAGE_API_KEY"  # OpenLineage's own environment variable
SENT = "openlineage.json"  # in .dvc/tmp: the keys of executions by the endpoint that has them


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "openlineage",
        help="send the executions of dvc.lock as OpenLineage events",
        description="Sends a START and a COMPLETE event for each execution of dvc.lock, with inputs, outputs, command "
        "and parameters, to a server that collects OpenLineage's events. What was sent there from this clone is not "
        f"sent again. {API_KEY} holds the key, where the server asks for one. Asks no registry.",
    )
    parser.add_argument("--to", required=True, metavar="URL", help="the server, such as http://localhost:5000")
    parser.add_argument("--again", action="store_true", help="send all, also what was sent")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        from dvc_wandb.report import lineage_events
    except ImportError:
        raise DvcWandbError(
            "OpenLineage's events need its package: `pip install openlineage-python`, or dvc-wandb[openlineage]."
        ) from None
    pipeline = Pipeline(project_root())
    transport = _transport(arguments.to)
    namespace, commits = f"dvc://{project_name(pipeline.root)}", lineage_events.commits(pipeline)
    file = tmp_folder(pipeline.root) / SENT
    sent = _read(file)
    keys = [] if arguments.again else sent.get(arguments.to, [])
    executions = pipeline.locked()
    waiting = [one for one in executions if one.key not in keys]
    for count, execution in enumerate(waiting):
        try:
            for event in lineage_events.of_execution(execution, namespace, commits.get(execution.key)):
                transport.emit(event)
        except (requests.RequestException, OSError) as error:
            raise DvcWandbError(
                f"{arguments.to} didn't take the events of {execution.stage}: {one_line(root_cause(error))}. "
                f"Of {len(waiting)} executions {count} were sent; run it again to send the rest."
            ) from None
        keys = [*keys, execution.key]
        file.write_text(json.dumps(sent | {arguments.to: keys}))
    had = f"; {len(executions) - len(waiting)} were sent before" if len(waiting) < len(executions) else ""
    print(f"{arguments.to}: {len(waiting)} execution{'s' if len(waiting) != 1 else ''} sent as {namespace}{had}")
    return 0


def _transport(url: str) -> Any:
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

    key = os.environ.get(API_KEY)
    auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
    try:
        return HttpTransport(HttpConfig(url=url, auth=auth))
    except ValueError:
        raise DvcWandbError(f"'{url}' is no URL of a server; write one such as http://localhost:5000.") from None


def _read(file: Path) -> dict[str, list[str]]:
    """What was sent; nothing where that isn't known any more, as in a file that was cut off."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
