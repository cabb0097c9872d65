"""Runs, as the SDK streams them and the public API reads them back."""

from __future__ import annotations

import math

import pytest
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from tests.wandb_registry.conftest import Registry


def test_a_run_reads_back_as_it_was_logged(registry: Registry):
    with registry.run("read", config={"lr": 0.1, "net": {"depth": 2}}, group="g", job_type="train", tags=["a"]) as run:
        for step in range(5):
            run.log({"loss": 1 / (step + 1), "nested": {"x": step}, "odd": math.nan})
        run.summary["best"] = 7
        print("said on the console")
    found = registry.api().run(f"read/{run.id}")
    assert (found.state, found.config, found.group) == ("finished", {"lr": 0.1, "net": {"depth": 2}}, "g")
    assert (found.job_type, found.tags, found.name) == ("train", ["a"], run.name)
    assert (found.summary["best"], found.summary["loss"]) == (7, 0.2)
    assert math.isnan(found.summary["odd"])
    assert [row["loss"] for row in found.scan_history(keys=["loss"])] == [1 / n for n in range(1, 6)]
    assert [row["nested"] for row in found.scan_history(min_step=3)] == [{"x": 3}, {"x": 4}]
    assert [row["nested.x"] for row in found.history(keys=["nested.x"], pandas=False)] == [0, 1, 2, 3, 4]
    assert {"config.yaml", "output.log", "requirements.txt", "wandb-metadata.json"} <= {f.name for f in found.files()}


def test_a_run_that_raises_has_failed(registry: Registry):
    def failing() -> None:
        with registry.run("failed", id="breaks"):
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        failing()
    assert registry.api().run("failed/breaks").state == "failed"


def test_runs_are_filtered_ordered_and_paged(registry: Registry):
    for number in range(5):
        with registry.run("many", name=f"run {number}", config={"n": number}, group=f"g{number % 2}") as run:
            run.log({"score": number % 3})
    api = registry.api()

    def names(per_page: int = 50, **asked) -> list[str]:
        return [found.name for found in api.runs("many", per_page=per_page, **asked)]

    assert names(per_page=2) == [f"run {number}" for number in range(5)]
    assert names(order="-created_at") == [f"run {number}" for number in reversed(range(5))]
    assert names(filters={"group": "g1"}) == ["run 1", "run 3"]
    assert names(filters={"config.n": {"$gte": 3}}) == ["run 3", "run 4"]
    assert names(filters={"$or": [{"displayName": "run 0"}, {"config.n.value": 4}]}) == ["run 0", "run 4"]
    assert names(filters={"state": "finished", "config.n": {"$in": [1, 2]}}, order="-config.n") == ["run 2", "run 1"]
    assert names(filters={"summary_metrics.score": 2}) == ["run 2"]
    assert names(filters={"displayName": {"$regex": "[34]$"}}) == ["run 3", "run 4"]
    assert len(api.runs("many", filters={"group": "g0"})) == 3


def test_a_filter_that_cannot_be_read_is_refused_with_a_sentence(registry: Registry):
    with registry.run("filters"):
        pass
    with pytest.raises(WandbApiFailedError, match="The filter operator '\\$near' is not known here"):
        len(registry.api().runs("filters", filters={"config.n": {"$near": 3}}))


def test_a_resumed_run_goes_on_where_it_stopped(registry: Registry):
    with registry.run("resumed") as run:
        run.log({"loss": 1})
        run.log({"loss": 2})
    with registry.run("resumed", id=run.id, resume="must") as again:
        again.log({"loss": 3})
    found = registry.api().run(f"resumed/{run.id}")
    assert [(row["_step"], row["loss"]) for row in found.scan_history()] == [(0, 1), (1, 2), (2, 3)]
    assert found.state == "finished"


def test_what_is_said_about_a_run_can_be_changed(registry: Registry):
    with registry.run("changed", config={"lr": 1}) as run:
        run.log({"loss": 1})
    found = registry.api().run(f"changed/{run.id}")
    found.config["lr"] = 2
    found.summary["note"] = "seen"
    found.tags.append("kept")
    found.update()
    again = registry.api().run(f"changed/{run.id}")
    assert (again.config["lr"], again.summary["note"], again.tags) == (2, "seen", ["kept"])


def test_a_deleted_run_is_gone_and_what_it_logged_stays(registry: Registry):
    with registry.run("deleted") as run:
        registry.log_file(run, "weights", "one")
    registry.api().run(f"deleted/{run.id}").delete()
    assert len(registry.api().runs("deleted")) == 0
    assert registry.api().artifact("deleted/weights:v0").logged_by() is None
    assert registry.command("log", run.id).stdout.endswith(f"  root  delete run local/deleted/{run.id}\n")


def test_a_file_of_a_run_can_be_uploaded_and_downloaded(registry: Registry, tmp_path):
    (tmp_path / "notes 100%.txt").write_text("kept")
    with registry.run("uploads") as run:
        pass
    found = registry.api().run(f"uploads/{run.id}")
    found.upload_file(str(tmp_path / "notes 100%.txt"), root=str(tmp_path))
    with found.file("notes 100%.txt").download(str(tmp_path / "out")) as file:
        assert file.read() == "kept"
