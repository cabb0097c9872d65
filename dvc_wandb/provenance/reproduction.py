"""What became of running the commit again on some machine, as a byproduct of a statement, by its signer's word.

It is the file that `dvc-wandb reproduce --json` prints. SLSA's provenance v1 has `runDetails.byproducts` for files of a
build that are not what it is about. `runDetails.metadata` would not do: its fields are fixed, and about the run that
made the model, which this one is not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc_wandb.project.lock import Content
from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.provenance.errors import OtherRunError
from dvc_wandb.provenance.form import REPRODUCTION
from dvc_wandb.provenance.json_fields import field

EQUAL, WITHIN, DIFFERENT = "equal", "within", "different"

Outs = dict[str, dict[str, Any]]  # by path: the verdict, the md5 that was made, how far apart its files are


def byproduct(file: Path, pipeline: Pipeline, model: Content) -> dict[str, Any]:
    """The result in `file`, of the stages that made `model` at the commit of `pipeline`.

    Raises OtherRunError for a result of another commit, dvc.lock or model, or of a run that didn't come to its end.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise OtherRunError(f"the result {file} can't be read: {error.strerror}.") from None
    try:
        told = json.loads(content)
        _check_commit(told, str(pipeline.rev), file)
        outs = _outs(told, pipeline, model, file)
        tolerance = field(told, "tolerance", str)
        facts = {
            "verdict": _verdict(model.path, outs, tolerance),
            "host": field(told, "machine.host", str),
            "processor": field(told, "machine.processor", str),
            "packages": "as installed" if told.get("installed") else "as the lock file of the commit has them",
            **({"tolerance": tolerance} if tolerance else {}),
            "outs": outs,
        }
    except RecursionError:
        raise OtherRunError(f"{file} is no result of `dvc-wandb reproduce --json`: it is too deep.") from None
    except ValueError as error:
        raise OtherRunError(f"{file} is no result of `dvc-wandb reproduce --json`: {error}.") from None
    return {"name": REPRODUCTION, "digest": {"sha256": hashlib.sha256(content).hexdigest()}, "annotations": facts}


def described(byproduct: dict[str, Any]) -> str:
    """Where it was and what became of it, in half a sentence."""
    facts = byproduct["annotations"]
    return f"on {facts['host']} ({facts['processor']}), packages {facts['packages']}: {facts['verdict']}"


def _check_commit(told: Any, wanted: str, file: Path) -> None:
    """Raises ValueError, or OtherRunError for another commit."""
    commit = field(told, "commit", str)
    if commit != wanted:
        raise OtherRunError(
            f"{file} tells of the commit {commit[:10]}, and the statement is about {wanted[:10]}: "
            f"`dvc-wandb reproduce --commit {wanted[:10]} --json` runs that one."
        )


def _outs(told: Any, pipeline: Pipeline, model: Content, file: Path) -> Outs:
    """The outs of the stages that made the model, as they were made again. Raises ValueError and OtherRunError."""
    stages = {field(one, "stage", str): one for one in field(told, "stages", list)}
    found: Outs = {}
    for execution in pipeline.locked(str(pipeline.maker(model))):
        if execution.stage.endswith(".dvc"):  # an import, which no run makes again
            continue
        if execution.stage not in stages:
            raise OtherRunError(
                f"{file} is about another model or project: it has no stage {execution.stage}, which {model.path} "
                "was made by."
            )
        stage = stages[execution.stage]
        if why := field(stage, "why", str):
            raise OtherRunError(f"{file} has nothing to compare: of {execution.stage} it says {why!r}.")
        made = {field(out, "path", str): out for out in field(stage, "outs", list)}
        for out in execution.outs:
            committed = made.get(out.path, {}).get("committed")
            if committed != out.md5:
                kind = "model" if out == model else "dvc.lock"
                raise OtherRunError(
                    f"{file} is about another {kind}: it was to make {out.path} {str(committed)[:8]}, and the "
                    f"statement is about {str(out.md5)[:8]}."
                )
            found[out.path] = _out(made[out.path])
    return found


def _out(told: dict[str, Any]) -> dict[str, Any]:
    """An out: nothing but a verdict where it is equal, else also what was made and how far apart. Raises ValueError."""
    made, files = field(told, "made", str), field(told, "files", dict)
    if made == told["committed"]:
        return {"verdict": EQUAL}
    if not all(isinstance(phrase, str) for phrase in files.values()):
        raise ValueError(f"how the files of {told['path']} differ is no text")
    largest = told.get("largest")
    if largest is not None and not (isinstance(largest, int | float) and math.isfinite(largest)):
        raise ValueError(f"the largest difference of {told['path']} is no number")
    number = {} if largest is None else {"largestDifference": largest}
    return {"verdict": WITHIN if told.get("within") is True else DIFFERENT, "md5": made, **number, "files": files}


# ---- in words ----


def _verdict(model: str, outs: Outs, tolerance: str) -> str:
    """A sentence without its end: the model, then what is upstream of it, by verdict."""
    others = {path: out for path, out in outs.items() if path != model}
    return "; ".join([f"{model} {_of_one(model, outs[model], tolerance)}", *_of_others(others, tolerance)])


def _of_one(path: str, out: dict[str, Any], tolerance: str) -> str:
    if out["verdict"] == EQUAL:
        return "is equal to the byte"
    how = "; ".join(phrase if name == path else f"{name}: {phrase}" for name, phrase in out["files"].items())
    return f"is within {tolerance}: {how}" if out["verdict"] == WITHIN else f"differs: {how}"


def _of_others(others: Outs, tolerance: str) -> Iterator[str]:
    words = {EQUAL: "equal to the byte", WITHIN: f"within {tolerance}", DIFFERENT: "different"}
    by_verdict = {verdict: [path for path, out in others.items() if out["verdict"] == verdict] for verdict in words}
    counts = [
        f"{len(paths)} {words[verdict]}" + (f" ({', '.join(paths)})" if verdict != EQUAL else "")
        for verdict, paths in by_verdict.items()
        if paths
    ]
    if counts:
        yield f"of the other outs of its stages, {', '.join(counts)}"
