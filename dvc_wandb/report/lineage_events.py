"""Executions as OpenLineage's events (https://openlineage.io/spec/2-0-2/OpenLineage.json), a START and a COMPLETE each.

A stage is a job, a path a dataset with the md5 as its version. Equal executions have equal run ids. dvc.lock holds no
times: both events have that of the commit, or of now where nothing is committed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from openlineage.client import facet_v2 as facets
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.generated.execution_parameters_run import ExecutionParameter, ExecutionParametersRunFacet

from dvc_wandb.project import git
from dvc_wandb.project.git import revisions
from dvc_wandb.project.lock import Content, Execution
from dvc_wandb.project.pipeline import Pipeline

PRODUCER = "urn:dvc-wandb"
set_producer(PRODUCER)  # of each facet too


@dataclass(frozen=True)
class Commit:
    """The commit that an execution is recorded in, and where that can be cloned from."""

    sha: str
    at: str
    url: str | None


def commits(pipeline: Pipeline) -> dict[str, Commit]:
    """The last commit that changed a lock, by the keys of the executions that it has."""
    root = pipeline.root
    sha = git.output_or_none(root, "rev-list", "--max-count=1", "HEAD", "--", *revisions.LOCKS)
    if not sha:
        return {}
    at = datetime.fromisoformat(git.output_or_none(root, "log", "-1", "--format=%cI", sha) or "")
    commit = Commit(sha, at.astimezone(UTC).isoformat(), git.remote_url(root))
    return {one.key: commit for one in pipeline.at(sha).locked()}


def of_execution(execution: Execution, namespace: str, commit: Commit | None) -> Iterator[RunEvent]:
    """The events of an execution, in the order in which they are to be sent."""
    at = commit.at if commit else datetime.now(UTC).isoformat()
    for state in (RunState.START, RunState.COMPLETE):
        yield RunEvent(
            eventTime=at,
            eventType=state,
            producer=PRODUCER,
            run=Run(run_id(execution, namespace), _run_facets(execution)),
            job=Job(namespace, execution.stage, _job_facets(execution, commit)),
            inputs=[InputDataset(**one) for one in _datasets(execution.reads, namespace)],
            outputs=[OutputDataset(**one) for one in _datasets(execution.outs, namespace)],
        )


def run_id(execution: Execution, namespace: str) -> str:
    """The same for equal executions of a project, on every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{execution.key}"))


def _run_facets(execution: Execution) -> dict[str, Any]:
    found = [
        ExecutionParameter(key=f"{file}:{name}", name=name, value=json.dumps(value, ensure_ascii=False))
        for file, values in execution.params.items()
        for name, value in values.items()
    ]
    return {"executionParameters": ExecutionParametersRunFacet(parameters=found)} if found else {}


def _job_facets(execution: Execution, commit: Commit | None) -> dict[str, Any]:
    jobs, code = facets.job_type_job, facets.source_code_job
    found: dict[str, Any] = {
        "jobType": jobs.JobTypeJobFacet("BATCH", "DVC", "STAGE"),
        "sourceCode": code.SourceCodeJobFacet("shell", execution.cmd),
    }
    if execution.desc:
        found["documentation"] = facets.documentation_job.DocumentationJobFacet(execution.desc)
    if commit and commit.url:
        place = facets.source_code_location_job.SourceCodeLocationJobFacet
        found["sourceCodeLocation"] = place("git", commit.url, commit.url, version=commit.sha)
    return found


def _datasets(contents: tuple[Content, ...], namespace: str) -> Iterator[dict[str, Any]]:
    """Namespace, name and version of each content, or of the folder around it."""
    for one in dict.fromkeys(content.versioned for content in contents):
        version = facets.dataset_version_dataset.DatasetVersionDatasetFacet(str(one.md5))
        space, name = _place(one, namespace)
        yield {"namespace": space, "name": name, "facets": {"version": version} if one.md5 else {}}


def _place(content: Content, namespace: str) -> tuple[str, str]:
    """Namespace and name as OpenLineage has them: s3://bucket and the key; a path is told from the project's root."""
    url = urlsplit(content.path)
    if content.kind == "reference" and url.netloc:
        return f"{url.scheme}://{url.netloc}", url.path.lstrip("/") or "/"
    return namespace, content.path
