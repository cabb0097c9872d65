"""Code to copy: how to use a version in a run, without a run, and through DVC."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from wandb_registry.model import access, projects
from wandb_registry.web.views import PageRequest

Row = dict[str, Any]


@dataclass(frozen=True)
class Snippet:
    title: str
    code: str


def usage_snippets(
    request: PageRequest, project: Row, collection: Row, type_name: str, version: str, artifact: Row
) -> list[Snippet]:
    """Python for the SDK, and a command for DVC if it has the file."""
    name = json.dumps(f"{project['entity_name']}/{project['name']}/{collection['name']}:{version}", ensure_ascii=False)
    own = projects.by_id(request.db, artifact["project_id"])
    shown = own if access.project_role(request.db, request.viewer, own) else project
    run_in = json.dumps(shown["name"], ensure_ascii=False)
    use = (
        f"    path = run.use_model({name})"
        if type_name == "model"
        else f"    artifact = run.use_artifact({name})\n    folder = artifact.download()"
    )
    snippets = [
        Snippet("In a run", f"import wandb\n\nwith wandb.init(project={run_in}) as run:\n{use}"),
        Snippet("Without a run", f"import wandb\n\nfolder = wandb.Api().artifact({name}).download()"),
    ]
    dvc = json.loads(artifact["metadata"] or "{}").get("dvc")
    if isinstance(dvc, dict) and isinstance(dvc.get("path"), str):
        snippets.append(Snippet("DVC", f"dvc pull {shlex.quote(' '.join(dvc['path'].split()))}"))
    return snippets
