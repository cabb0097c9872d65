"""What a page shows the beginning of: it says of how much, and the way that it names leads to all of it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import numpy as np
import pytest
import wandb

from tests.wandb_registry.conftest import Registry

QUIET = wandb.Settings(console="off")
PROJECT = "limits"
BASE = f"/local/{PROJECT}"
UPSERT = """
mutation U($name: String!, $project: String!, $job: String, $config: JSONString, $summary: JSONString) {
  upsertBucket(input: {name: $name, displayName: $name, modelName: $project, entityName: "local", jobType: $job,
                       config: $config, summaryMetrics: $summary}) { bucket { id } } }
"""
USE = """
mutation U($run: String!, $project: String!, $artifact: ID!) {
  useArtifact(input: {entityName: "local", projectName: $project, runName: $run, artifactID: $artifact}) {
    artifact { id } } }
"""


def page(registry: Registry, address: str) -> str:
    return registry.page(address)


def way(text: str, said: str) -> str:
    """The address behind a sentence such as '20 of 25 runs are shown.'"""
    found = re.search(re.escape(said) + r'\s*<a href="([^"]+)"', text)
    assert found, (said, re.findall(r"[\d,]+ of [\d,]+ [^<]*shown", text))
    return found[1].partition("#")[0]


def upsert(registry: Registry, name: str, project: str = PROJECT, **given: str) -> None:
    answer = registry.ask(UPSERT, name=name, project=project, **given)
    assert answer.status == 200, answer.text


def stream(registry: Registry, run: str, name: str, lines: list[str], offset: int = 0) -> None:
    body = json.dumps({"files": {name: {"offset": offset, "content": lines}}}).encode()
    answer = registry.send(
        "POST", f"/files/local/{PROJECT}/{run}/file_stream", body, headers={"Content-Type": "application/json"}
    )
    assert answer.status == 200, answer.text


@pytest.fixture(scope="module")
def versions(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two versions of a dataset, in many folders, with much metadata; many runs use the second."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(70):
        (folder / f"f{number:03}").mkdir()
        (folder / f"f{number:03}" / "part.txt").write_text("the same")
    with registry.run(PROJECT, settings=QUIET) as run:
        for turn in range(2):
            for number in range(110):
                (folder / f"{number:03}.txt").write_text(f"{turn} {number}")
            (folder / "lines.txt").write_text("\n".join(f"{turn} {at}" for at in range(300)))
            artifact = wandb.Artifact("many", "dataset", metadata={"of": {f"key{at}": at + turn for at in range(510)}})
            artifact.add_dir(str(folder))
            logged = run.log_artifact(artifact).wait()
    for number in range(120):
        upsert(registry, f"user{number}", job=f"job {number}")
        assert registry.ask(USE, run=f"user{number}", project=PROJECT, artifact=logged.id).status == 200


VERSION = f"{BASE}/artifacts/dataset/many"


@pytest.mark.parametrize(
    ("address", "said", "last"),
    [
        (f"{VERSION}/v1", "500 of 510 entries are shown.", "of.key509</dt>"),
        (f"{VERSION}/v1", "20 of 120 runs are shown.", ">user0</a>"),
        (f"{VERSION}/compare?from=v0&to=v1&file=lines.txt", "400 of 601 lines are shown.", "<td>1 299</td>"),
        (f"{VERSION}/compare?from=v0&to=v1", "500 of 510 facts are shown.", "of.key99</th>"),
    ],
)
def test_a_list_that_is_cut_says_so_and_leads_to_all(
    registry: Registry, versions: None, address: str, said: str, last: str
):
    text = page(registry, address)
    assert last not in text
    whole = page(registry, way(text, said))
    assert last in whole
    assert said not in whole


def test_the_neighbours_of_a_node_can_all_be_shown(registry: Registry, versions: None):
    text = page(registry, f"{VERSION}/v1/lineage")
    whole = page(registry, way(text, "8 of 120 nodes are shown."))
    behind = whole.partition("<dt>After it</dt>")[2].partition("</dd>")[0]
    assert behind.count("<a href") == 120


def test_folders_and_files_of_a_version_have_pages(registry: Registry, versions: None):
    """The first 200 folders were shown, and what lay in the others among the files."""
    seen: list[str] = []
    for number in (1, 2, 3, 4):
        text = page(registry, f"{VERSION}/v1?files={number}")
        assert "of 181" in text
        rows = text[text.index('id="files"') : text.index('id="used-by"')]
        seen += re.findall(r'<th scope="row" class="pin">.*?<a href="[^"]+">([^<]+)</a>', rows)
    assert seen == [*(f"f{at:03}/" for at in range(70)), *(f"{at:03}.txt" for at in range(110)), "lines.txt"]
    assert "of 1<" not in page(registry, f"{VERSION}/v1?folder=f003")


def test_files_that_differ_have_pages(registry: Registry, versions: None):
    texts = [page(registry, f"{VERSION}/compare?from=v0&to=v1&files={number}") for number in (1, 2)]
    assert "Files 1–100 of 111" in texts[0]
    assert [name in texts[1] for name in ("109.txt", "lines.txt")] == [True, True]


def test_lineage_and_its_list_have_pages(registry: Registry, versions: None):
    text = page(registry, f"{VERSION}/v1/lineage")
    assert "Nodes 1–100 of 12" in text
    assert ">user" in page(registry, f"{VERSION}/v1/lineage?nodes=2")
    text = page(registry, f"{BASE}/lineage?runs=2")
    assert re.search(r"Runs 101–\d+ of \d+", text)
    assert "user0" in text


def test_an_error_says_how_many_more_there_are(registry: Registry, versions: None):
    with pytest.raises(HTTPError) as refused:
        page(registry, f"{BASE}/runs/nothere")
    text = refused.value.read().decode()
    assert re.search(r"and 1\d\d more\.", text), text


def test_a_long_line_of_the_console_is_a_link_to_all_of_it(registry: Registry):
    upsert(registry, "prints")
    stream(registry, "prints", "output.log", ["first", "x" * 25_000 + "END", "a bar 1%\ra bar 100%"])
    text = page(registry, f"{BASE}/runs/prints/logs")
    assert "a bar 1%" not in text
    assert "END" not in text
    whole = page(registry, way(text, "20,000 of 25,003 characters are shown."))
    assert "END" in whole
    assert "first" not in whole
    assert "Among the other lines" in whole


@pytest.fixture(scope="module")
def shown(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> wandb.Run:
    """A run with many keys of media, boxes, tables and saved code; one of its files is gone."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "code").mkdir()
    for number in range(7):
        (folder / "code" / f"script{number}.py").write_text(str(number))
    picture = np.zeros((4, 4), "uint8")
    boxes = [
        {"position": {"minX": 0.1, "maxX": 0.2, "minY": 0.1, "maxY": 0.2}, "class_id": 1, "box_caption": f"box {at}"}
        for at in range(230)
    ]
    with registry.run(PROJECT, settings=QUIET) as run:
        run.log({f"picture{at:02}": wandb.Image(picture) for at in range(50)})
        run.log({"seen": wandb.Image(picture, boxes={"all": {"box_data": boxes, "class_labels": {1: "one"}}})})
        run.log({f"table{at:02}": wandb.Table(["a"], [[at]]) for at in range(22)})
        run.log({"arrays": wandb.Table(["name", "pixels"], [["a", np.zeros((2, 2))], ["b", np.ones((2, 2))]])})
        for _ in range(3):
            run.log({"other": wandb.Image(picture, caption="again"), "again": wandb.Image(picture)})
        run.log({"other": wandb.Image(picture, caption="again")})
        run.save(str(folder / "code" / "*"), base_path=str(folder))
    gone = next(file for file in registry.api().run(f"{PROJECT}/{run.id}").files() if "picture07" in file.name)
    gone.delete()
    return run


def test_keys_of_media_have_pages(registry: Registry, shown: wandb.Run):
    address = f"{BASE}/runs/{shown.id}"
    assert re.search(r'<a href="[^"]+/media">all 76 keys</a>', page(registry, address))
    keys = [
        key
        for number in (1, 2)
        for key in re.findall(r"<strong>([^<]+)</strong>", page(registry, f"{address}/media?page={number}"))
    ]
    assert len(set(keys)) == 76
    assert "Keys 1–48 of 76" in page(registry, f"{address}/media")


def test_a_picture_whose_file_is_gone_says_so(registry: Registry, shown: wandb.Run):
    text = page(registry, f"{BASE}/runs/{shown.id}/media?key=picture07")
    assert re.search(r"The run has no file media/images/picture07\S+: it was not uploaded, or was deleted\.", text)


def test_boxes_that_are_not_drawn_are_counted(registry: Registry, shown: wandb.Run):
    text = page(registry, f"{BASE}/runs/{shown.id}/media?key=seen")
    assert text.count('fill="none" stroke="#') == 200
    assert "box 229" in page(registry, way(text, "200 of 230 boxes are shown."))


def test_all_steps_of_a_key_are_there_where_other_values_name_it(registry: Registry, shown: wandb.Run):
    """Rows that only mention the key, here in a caption, took the places of those that have it."""
    assert page(registry, f"{BASE}/runs/{shown.id}/media?key=again").count("<figure") == 3


def test_more_tables_than_tabs_are_one_click_away(registry: Registry, shown: wandb.Run):
    names = [file.name for file in registry.api().run(f"{PROJECT}/{shown.id}").files() if "table21" in file.name]
    text = page(registry, f"{BASE}/runs/{shown.id}/files/{quote(names[0])}")
    assert text.partition('id="tabs"')[2].partition("</nav>")[0].count('aria-current="page"') == 1
    assert page(registry, way(text, "20 of 23 tables are shown.")).count("table") > text.count("table")


def test_a_table_with_arrays_says_where_they_are(registry: Registry, shown: wandb.Run):
    version = registry.api().run(f"{PROJECT}/{shown.id}").summary["arrays"]["_latest_artifact_path"]
    artifact = registry.api().artifact(f"local/{PROJECT}/run-{shown.id}-arrays:latest")
    assert version
    text = page(registry, f"{BASE}/artifacts/{artifact.type}/{artifact.collection.name}/v0/files/arrays.table.json")
    assert "the CSV and the filter leave out pixels" in text
    assert "array 2×2" in text


def test_saved_code_is_counted(registry: Registry, shown: wandb.Run):
    text = page(registry, f"{BASE}/runs/{shown.id}")
    assert "script6.py" not in text
    assert "script6.py" in page(registry, way(text, "5 of 7 files are shown."))


def test_columns_of_a_registered_model_can_all_be_shown(registry: Registry):
    for turn in range(2):
        with registry.run(PROJECT, config={f"p{at}": at * turn for at in range(5)}, settings=QUIET) as run:
            run.log({f"m{at}": at + turn for at in range(10)})
            run.link_artifact(registry.log_file(run, "sized", str(turn)), "model-registry/Sized")
    address = "/registry/model?selectionPath=local/model-registry/Sized"
    text = page(registry, address)
    assert ">m9<" not in text
    whole = page(registry, way(text, "4 of 10 metrics are shown."))
    assert ">m9<" in whole
    assert "3 of 4 parameters that differ are shown." in text
    assert ">p4<" in whole
    assert ">m9<" in page(
        registry, way(page(registry, f"{address}&view=membership&version=v1"), "8 of 10 metrics are shown.")
    )


def test_the_machines_metrics_are_drawn_over_time(registry: Registry):
    upsert(registry, "machine")
    rows = [json.dumps({"system.cpu": at, "_timestamp": 1e9 + at, "_runtime": at}) for at in range(5)]
    stream(registry, "machine", "wandb-events.jsonl", rows)
    text = page(registry, f"{BASE}/runs/machine/system")
    assert "system.cpu" in text or "cpu" in text
    assert "No value by time" not in text


# ---- what isn't kept is told on the run's page ----


def test_a_file_with_a_name_that_cannot_be_is_told_on_the_runs_page(registry: Registry, tmp_path: Path):
    """The upload was refused, and nothing but the SDK's own log said so."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("a")
    with registry.run(PROJECT, settings=QUIET) as run:
        run.save(str(tmp_path / "out" / "**"), base_path=str(tmp_path / "out"))
    assert "a.txt" in {file.name for file in registry.api().run(f"{PROJECT}/{run.id}").files()}
    text = html.unescape(page(registry, f"{BASE}/runs/{run.id}"))
    assert text.count("'.' is not a name for a run's file. It was not kept; save it under another name.") == 1


def test_a_row_that_cannot_be_read_takes_no_other_along(registry: Registry):
    """The whole request was refused, and with it all that the run logged from then on."""
    upsert(registry, "deep")
    deep = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
    stream(registry, "deep", "wandb-history.jsonl", ['{"a": 1, "_step": 0}', deep, '{"a": 3, "_step": 2}'])
    stream(registry, "deep", "wandb-summary.json", [deep])
    found = registry.api().run(f"{PROJECT}/deep")
    assert [row["a"] for row in found.scan_history()] == [1, 3]
    text = page(registry, f"{BASE}/runs/deep")
    assert "A row of the history was refused" in text
    assert "A summary was refused" in text


def test_half_a_character_closes_no_page(registry: Registry):
    """JSON can hold a lone surrogate, UTF-8 can't: the run's pages and its sampled history were refused for ever."""
    upsert(registry, "half", config='{"said": {"value": "half \\ud800"}}')
    stream(registry, "half", "wandb-history.jsonl", ['{"a": "half \\ud800", "_step": 0}'])
    stream(registry, "half", "wandb-summary.json", ['{"a": "half \\ud800"}'])
    for tab in ("", "/charts", "/media"):
        assert page(registry, f"{BASE}/runs/half{tab}")
    assert page(registry, f"{BASE}/runs")
    found = registry.api().run(f"{PROJECT}/half")
    assert [row["a"][:4] for row in found.history(keys=["a"], pandas=False)] == ["half"]
    assert [row["a"][:4] for row in found.scan_history()] == ["half"]


def test_more_keys_than_are_listed_are_told(registry: Registry):
    upsert(registry, "wide")
    row = {f"k{at}": at for at in range(10_005)} | {"_step": 0}
    stream(registry, "wide", "wandb-history.jsonl", [json.dumps(row)])
    assert "The first 10,000 keys are listed and drawn." in page(registry, f"{BASE}/runs/wide")
    assert next(iter(registry.api().run(f"{PROJECT}/wide").scan_history()))["k10004"] == 10_004


# ---- large sizes ----


@pytest.mark.soak
def test_a_table_of_a_hundred_thousand_rows_is_read_to_its_end(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wandb.Table, "MAX_ROWS", 100_000)  # as W&B's documentation raises it: the SDK cuts at 10,000
    rows: list[Any] = [[number, f"name {number % 1000}"] for number in range(100_000)]
    with registry.run(PROJECT, settings=QUIET) as run:
        run.log({"large": wandb.Table(["number", "name"], rows)})
    name = next(file.name for file in registry.api().run(f"{PROJECT}/{run.id}").files() if "large" in file.name)
    address = f"{BASE}/runs/{run.id}/files/{quote(name)}"
    assert "of 100,000</span>" in page(registry, f"{address}?sort=-c0&page=2000")
    assert "of 100</span>" in page(registry, f"{address}?q=name+999")
    assert page(registry, f"{address}?view=csv").count("\n") == 100_001


@pytest.mark.soak
def test_thousands_of_runs_and_files_have_their_pages(registry: Registry, tmp_path: Path):
    for number in range(5_000):
        folder = tmp_path / f"{number % 700}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.txt").write_text(str(number))
    with registry.run("thousands", settings=QUIET) as run:
        artifact = wandb.Artifact("files", "dataset")
        artifact.add_dir(str(tmp_path))
        logged = run.log_artifact(artifact).wait()
    for number in range(3_000):
        upsert(registry, f"user{number}", project="thousands", job=f"job {number}")
        assert registry.ask(USE, run=f"user{number}", project="thousands", artifact=logged.id).status == 200
    version = "/local/thousands/artifacts/dataset/files/v0"
    assert "Files and folders 651–700 of 700" in page(registry, f"{version}?files=14")
    assert ">user0</a>" in page(registry, way(page(registry, version), "20 of 3,000 runs are shown."))
    text = page(registry, f"{version}/lineage?nodes=31")
    assert "500 of 3,002 nodes are shown." in text
    assert "Nodes 3,001–3,002 of 3,002" in text
    assert "Runs 2,901–3,000 of 3,001" in page(registry, "/local/thousands/lineage?runs=30")
