"""Code to copy: how a version is used in a run, without one, and through DVC."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from wandb_registry.model import access, projects
from wandb_registry.web.shell import Visit

Row = dict[str, Any]


@dataclass(frozen=True)
class Snippet:
    name: str
    code: str


def of(visit: Visit, place: Row, collection: Row, kind: str, number: str, artifact: Row) -> list[Snippet]:
    """Python for the SDK; a command where DVC has the file too."""
    name = json.dumps(f"{place['entity_name']}/{place['name']}/{collection['name']}:{number}", ensure_ascii=False)
    own = projects.by_id(visit.db, artifact["project_id"])
    home = json.dumps((own if access.project_role(visit.db, visit.who, own) else place)["name"], ensure_ascii=False)
    use = (
        f"    path = run.use_model({name})"
        if kind == "model"
        else f"    artifact = run.use_artifact({name})\n    folder = artifact.download()"
    )
    found = [
        Snippet("In a run", f"import wandb\n\nwith wandb.init(project={home}) as run:\n{use}"),
        Snippet("Without a run", f"import wandb\n\nfolder = wandb.Api().artifact({name}).download()"),
    ]
    said = json.loads(artifact["metadata"] or "{}").get("dvc")
    if isinstance(said, dict) and isinstance(said.get("path"), str):
        found.append(Snippet("DVC", f"dvc pull {shlex.quote(' '.join(said['path'].split()))}"))
    return found
