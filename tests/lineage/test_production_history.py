"""What was in production, as the commits of the record tell it."""

from __future__ import annotations

import json
from pathlib import Path

from lineage.production import history
from tests.lineage.conftest import project_in

RECORD = {"registered_model": "model-registry/Best", "eval_md5": "e", "metrics": {}, "decided_by": "gate"}


def test_a_model_is_told_once_with_the_reason_that_came_later(tmp_path: Path):
    project = project_in(tmp_path / "project")
    project.git("init", "--quiet", "--initial-branch=main")
    for md5, reason in (("a", None), ("a", "good enough"), ("a", "in other words"), ("b", "better")):
        (project.path / "production.json").write_text(json.dumps(RECORD | {"model_md5": md5, "reason": reason}))
        project.git("add", "production.json")
        project.git("commit", "--quiet", "--allow-empty", "--message", str(reason))
    told = history.of_git(project.path, "production.json")
    assert [(one.record.model_md5, one.record.reason) for one in told] == [("a", "good enough"), ("b", "better")]
    assert told[0].commit == project.git("rev-parse", "HEAD~3").strip()
