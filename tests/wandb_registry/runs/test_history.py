"""What runs log: values of every kind, metric definitions, media, console, system metrics, files and code."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
import wandb
from wandb.apis.public.runhistory import IncompleteRunHistoryError

from tests.wandb_registry.conftest import Registry

ROWS = 20_000


def test_values_of_every_kind_read_back(registry: Registry):
    with registry.run("kinds") as run:
        run.log(
            {
                "whole": 3,
                "half": 0.5,
                "large": 2**53,
                "said": "words",
                "true": True,
                "nothing": None,
                "many": [1, 2, 3],
                "nested": {"deep": {"er": 7}},
                "array": np.float32(1.5),
                "plus": math.inf,
                "minus": -math.inf,
                "odd": math.nan,
            }
        )
    found = registry.api().run(f"kinds/{run.id}")
    row = next(iter(found.scan_history()))
    assert {key: row[key] for key in ("whole", "half", "large", "said", "true", "nothing", "many", "array")} == {
        "whole": 3, "half": 0.5, "large": 2**53, "said": "words", "true": True, "nothing": None, "many": [1, 2, 3],
        "array": 1.5,
    }  # fmt: skip
    assert row["nested"] == {"deep": {"er": 7}}
    assert (row["plus"], row["minus"]) == (math.inf, -math.inf)
    assert math.isnan(row["odd"])
    kinds = {key: entry["typeCounts"] for key, entry in found.history_keys["keys"].items()}
    assert kinds["nested.deep.er"] == [{"type": "number", "count": 1}]
    assert kinds["said"] == [{"type": "string", "count": 1}]


def test_only_so_many_keys_are_known_of_a_run_and_all_values_are_kept(registry: Registry):
    """Each row of a run with 200,000 keys kept all others from writing for three seconds."""
    start = 'mutation { upsertBucket(input: {modelName: "keys", name: "r"}) { inserted } }'
    assert registry.ask(start).status == 200
    wide = {f"k{number:05}": number for number in range(10_100)} | {"said": "x" * 10_000, "_step": 0}
    lines = [json.dumps(wide), json.dumps({"late": 1, "_step": 1})]
    body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": lines}}}
    sent = registry.send("POST", f"/files/{registry.entity}/keys/r/file_stream", json.dumps(body).encode())
    assert sent.status == 200
    found = registry.api().run("keys/r")
    known = found.history_keys
    assert (len(known["keys"]), known["lastStep"], len(json.dumps(known)) < 2**21) == (10_000, 1, True)
    first, second = found.scan_history()
    assert (first["k10099"], len(first["said"]), second["late"]) == (10_099, 10_000, 1)


def test_media_and_tables_read_back(registry: Registry, tmp_path):
    pixels = np.arange(48, dtype="uint8").reshape(4, 4, 3)
    table = wandb.Table(columns=["n", "word"], data=[[1, "one"], [2, "two"]])
    with registry.run("media") as run:
        run.log(
            {
                "picture": wandb.Image(pixels, caption="a picture"),
                "pictures": [wandb.Image(pixels), wandb.Image(pixels)],
                "spread": wandb.Histogram([1, 1, 2, 3]),
                "table": table,
                "page": wandb.Html("<b>bold</b>"),
                "curve": wandb.plot.line(table, "n", "n", title="a curve"),
            }
        )
    found = registry.api().run(f"media/{run.id}")
    row = next(iter(found.scan_history()))
    kinds = {key: value["_type"] for key, value in row.items() if isinstance(value, dict)}
    assert kinds["picture"] == "image-file"
    assert kinds["pictures"] == "images/separated"
    assert kinds["spread"] == "histogram"
    assert kinds["table"] == "table-file"
    with found.file(row["picture"]["path"]).download(str(tmp_path)) as file:
        assert file.name.endswith(".png")
    with found.file(row["table"]["path"]).download(str(tmp_path)) as file:
        assert json.load(file)["data"] == [[1, "one"], [2, "two"]]
    assert any(artifact.type == "run_table" for artifact in found.logged_artifacts())


def test_metric_definitions_decide_the_summary(registry: Registry):
    with registry.run("defined") as run:
        run.define_metric("epoch")
        run.define_metric("val/*", step_metric="epoch")
        run.define_metric("best", summary="max")
        run.define_metric("spread", summary="min,max,mean")
        for epoch, value in enumerate([3, 9, 6]):
            run.log({"epoch": epoch, "val/loss": value, "best": value, "spread": value})
    found = registry.api().run(f"defined/{run.id}")
    assert dict(found.summary["best"]) == {"max": 9}
    assert dict(found.summary["spread"]) == {"min": 3, "max": 9, "mean": 6}
    assert found.summary["val/loss"] == 6
    assert found.rawconfig["_wandb"]["m"], "the definitions are kept for whoever draws the curves"


def test_steps_may_have_gaps_and_rows_may_lack_keys(registry: Registry):
    with registry.run("gaps") as run:
        for step in (0, 10, 11, 500):
            run.log({"even" if step % 2 == 0 else "odd": step, "all": step}, step=step)
    found = registry.api().run(f"gaps/{run.id}")
    assert found.lastHistoryStep == 500
    assert [row["_step"] for row in found.scan_history(min_step=10, max_step=500)] == [10, 11]
    assert [row["even"] for row in found.scan_history(keys=["even"])] == [0, 10, 500]
    assert [row["odd"] for row in found.scan_history(keys=["odd", "all"], page_size=2)] == [11]
    assert list(found.history(keys=["all"], pandas=False))[-1] == {"_step": 500, "all": 500}


def test_the_pages_that_older_clients_ask_for_join_without_a_seam(registry: Registry):
    """Older SDKs got the first row of each next page twice, and lost another for it."""
    with registry.run("in-pages") as run:
        for step in range(30):
            run.log({"loss": step})
    ask = """query Q($spec: JSONString!, $run: String!) {
      project(name: "in-pages", entityName: "local") { run(name: $run) { sampledHistory(specs: [$spec]) } } }"""
    scanned = []
    for start in range(0, 30, 10):
        spec = {"keys": ["loss"], "minStep": start, "maxStep": start + 10, "samples": 10}
        answer = registry.ask(ask, spec=json.dumps(spec), run=run.id).json()
        scanned += [row["loss"] for row in answer["data"]["project"]["run"]["sampledHistory"][0]]
    assert scanned == list(range(30))


def test_two_rows_of_one_step_are_both_kept(registry: Registry):
    """With two rows of one step, a scan left out another one."""
    found = registry.api().create_run(project="again", entity=registry.entity)
    lines = [json.dumps({"_step": step, "loss": loss}) for step, loss in ((0, 1), (1, 2), (2, 3), (0, 100))]
    body = json.dumps({"files": {"wandb-history.jsonl": {"offset": 0, "content": lines}}}).encode()
    assert registry.send("POST", f"/files/local/again/{found.id}/file_stream", body).status == 200
    found = registry.api().run(f"again/{found.id}")
    assert sorted(row["loss"] for row in found.scan_history()) == [1, 2, 3, 100]


def test_a_history_that_is_far_away_is_asked_for_where_it_is(registry: Registry, tmp_path):
    """A scan asked for each thousand steps before it, and an export came back empty without a word."""
    inside = 'run(name: $run) { parquetHistory(liveKeys: ["_step"]) { liveData } }'
    ask = f'query Q($run: String!) {{ project(name: "far", entityName: "local") {{ {inside} }} }}'
    with registry.run("far") as run:
        run.log({"a": 1}, step=300_000)
    answer = registry.ask(ask, run=run.id).json()
    assert answer["data"]["project"]["run"]["parquetHistory"]["liveData"] == [{"_step": 300_000}]
    found = registry.api().run(f"far/{run.id}")
    assert [row["a"] for row in found.scan_history(min_step=290_000)] == [1]
    with pytest.raises(IncompleteRunHistoryError):
        found.download_history_exports(str(tmp_path))


def test_a_long_history_reads_back_whole_in_part_and_thinned_out(registry: Registry):
    found = registry.api().create_run(project="long", entity=registry.entity)
    lines = [json.dumps({"_step": step, "loss": 1 / (step + 1), "even": step % 2}) for step in range(ROWS)]
    for start in range(0, ROWS, 5_000):
        part = {"offset": start, "content": lines[start : start + 5_000]}
        body = json.dumps({"files": {"wandb-history.jsonl": part}}).encode()
        assert registry.send("POST", f"/files/local/long/{found.id}/file_stream", body).status == 200
    found = registry.api().run(f"long/{found.id}")
    assert [row["_step"] for row in found.scan_history()] == list(range(ROWS))
    assert sum(1 for _ in found.scan_history(keys=["loss"])) == ROWS
    assert [row["_step"] for row in found.scan_history(min_step=15_000, max_step=15_003)] == [15_000, 15_001, 15_002]
    thinned = list(found.history(samples=100, pandas=False))
    assert len(thinned) == 100
    assert thinned[-1]["_step"] == ROWS - 1
    assert found.history_keys["keys"]["loss"]["typeCounts"] == [{"type": "number", "count": ROWS}]


def test_the_console_reads_back_line_by_line(registry: Registry):
    with registry.run("console", settings={"console": "wrap"}) as run:
        for number in range(120):
            print(f"line {number}")
        run.log({"loss": 1})
    found = registry.api().run(f"console/{run.id}")
    lines = [(line.number, line.content) for line in found.console_logs()]
    assert lines == [(number, f"line {number}") for number in range(120)]
    assert [line.content for line in found.console_logs(last=2)] == ["line 118", "line 119"]


def test_a_console_of_plain_lines_reads_back_too(registry: Registry):
    """So older SDKs send them."""
    found = registry.api().create_run(project="plain", entity=registry.entity)
    lines = ["2026-11-23T01:24:38.888580 hello", "ERROR 2026-11-23T01:24:39.000001 went wrong"]
    body = json.dumps({"files": {"output.log": {"offset": 0, "content": lines}}}).encode()
    assert registry.send("POST", f"/files/local/plain/{found.id}/file_stream", body).status == 200
    read = list(registry.api().run(f"plain/{found.id}").console_logs())
    assert [(line.content, line.level) for line in read] == [("hello", ""), ("went wrong", "error")]
    assert read[0].timestamp is not None
    assert read[0].timestamp.year == 2026


def test_a_packed_stream_is_read(registry: Registry):
    found = registry.api().create_run(project="packed", entity=registry.entity)
    part = {"offset": 0, "content": ['{"_step":0,"loss":1}']}
    body = gzip.compress(json.dumps({"files": {"wandb-history.jsonl": part}}).encode())
    path = f"/files/local/packed/{found.id}/file_stream"
    assert registry.send("POST", path, body, headers={"Content-Encoding": "gzip"}).status == 200
    assert [row["loss"] for row in registry.api().run(f"packed/{found.id}").scan_history()] == [1]


def test_system_metrics_read_back(registry: Registry):
    found = registry.api().create_run(project="system", entity=registry.entity)
    lines = [json.dumps({"system.cpu": value, "_timestamp": value, "_wandb": True}) for value in (10, 20)]
    body = json.dumps({"files": {"wandb-events.jsonl": {"offset": 0, "content": lines}}}).encode()
    assert registry.send("POST", f"/files/local/system/{found.id}/file_stream", body).status == 200
    found = registry.api().run(f"system/{found.id}")
    assert [row["system.cpu"] for row in found.history(stream="system", pandas=False)] == [10, 20]
    assert found.system_metrics["system.cpu"] == 20


def test_saved_files_and_code_are_kept_with_the_run(registry: Registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("print('trained')\n")
    (tmp_path / "notes.txt").write_text("first")
    with registry.run("kept") as run:
        run.save("notes.txt", policy="now")
        code = run.log_code("source", name="source-of-it")
        run.log({"loss": 1})
    assert code is not None
    found = registry.api().run(f"kept/{run.id}")
    with found.file("notes.txt").download(str(tmp_path / "out")) as file:
        assert file.read() == "first"
    logged = {artifact.type: artifact for artifact in found.logged_artifacts()}
    assert "train.py" in logged["code"].manifest.entries
    assert (found.metadata or {})["python"]


def test_a_name_that_is_none_keeps_no_other_file_from_being_saved(registry: Registry, tmp_path, monkeypatch):
    """`**` names the folder too: config.yaml, the console and every picture were gone, since they came in its batch."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.txt").write_text("b")
    with registry.run("batch") as run:
        run.save("out/**", base_path="out")
        run.log({"picture": wandb.Image(np.zeros((4, 4), "uint8"))})
    names = {file.name for file in registry.api().run(f"batch/{run.id}").files()}
    assert {"b.txt", "config.yaml", "wandb-summary.json"} <= names
    assert any(name.startswith("media/images/picture") for name in names)
    ask = """mutation C($run: String!) {
      createRunFiles(input: {entityName: "local", projectName: "batch", runName: $run,
                             files: ["good.txt", "../bad.txt", ""]}) { files { name uploadUrl } } }"""
    good, *bad = registry.ask(ask, run=run.id).json()["data"]["createRunFiles"]["files"]
    assert registry.send("PUT", good["uploadUrl"], b"x", signed_in=False).status == 200
    for file in bad:
        refused = registry.send("PUT", file["uploadUrl"], b"x", signed_in=False)
        assert (refused.status, "is not a name for a run's file" in refused.text) == (400, True), refused.text


def test_files_are_deleted_also_if_one_is_gone(registry: Registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with registry.run("unsaved") as run:
        run.log({"a": 1})
    found = registry.api().run(f"unsaved/{run.id}")
    files = [found.file(name).id for name in ("config.yaml", "wandb-metadata.json")]
    delete = "mutation D($files: [ID!]!) { deleteFiles(input: {files: $files}) { success } }"
    for wanted in (files[:1], files):
        assert registry.ask(delete, files=wanted).json()["data"]["deleteFiles"]["success"] is True
    left = {file.name for file in registry.api().run(f"unsaved/{run.id}").files()}
    assert not left & {"config.yaml", "wandb-metadata.json"}


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_telemetry_is_taken_in_its_own_form(registry: Registry, signal: str):
    """A terminal showed 'Failed to export logs batch code: 404': the client takes one kind as a sign of the other."""
    for kind, answer in (("application/x-protobuf", b""), ("application/json", b"{}")):
        taken = registry.send("POST", f"/sdk/otel/v1/{signal}", b"\n\x00", False, {"Content-Type": kind})
        assert (taken.status, taken.body, taken.headers["content-type"]) == (200, answer, kind)


@pytest.mark.parametrize("files", [[1], {"wandb-history.jsonl": 3}, {"output.log": {"offset": -1, "content": "x"}}])
def test_a_stream_of_another_shape_is_refused(registry: Registry, files):
    found = registry.api().create_run(project="shapes", entity=registry.entity)
    body = json.dumps({"files": files}).encode()
    assert registry.send("POST", f"/files/local/shapes/{found.id}/file_stream", body).status == 400


def test_a_sampled_history_is_asked_for_in_its_shape(registry: Registry):
    found = registry.api().create_run(project="broken", entity=registry.entity)
    inside = (
        f'project(name: "broken", entityName: "local") {{ run(name: "{found.id}") {{ sampledHistory(specs: [$s]) }} }}'
    )
    for spec in ("[]", '{"minStep": "x"}', '{"keys": 5}', '{"samples": 1e400}'):
        refused = registry.ask(f"query($s: JSONString!) {{ {inside} }}", s=spec)
        assert (refused.status, "A sampled history is asked for like" in refused.text) == (400, True), spec
