"""Pages of tables and media have all that was logged, or say how much there is and where."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import wandb
from wandb import data_types

from tests.wandb_registry.conftest import Registry

LONG = "x" * 600 + " ÄPFEL end"
VECTOR = [0.123456789] * 100


@pytest.fixture(scope="module")
def run(registry: Registry) -> wandb.Run:
    with registry.run("whole") as run:
        answers: list[Any] = [[LONG, VECTOR], ["short", [1.0]]]
        run.log({"answers": wandb.Table(["text", "vector"], data=answers)})
        run.log({"nothing": pd.DataFrame()})
        rows: list[Any] = [
            ["a", 0.5, 2**63 + 5],
            ["b", float("nan"), 2**64 - 1],
            ["c", float("-inf"), 7],
            ["d", 0.9, 10**19],
        ]
        run.log({"scores": wandb.Table(["name", "score", "id"], rows)})
        increments = wandb.Table(["number"], log_mode="INCREMENTAL")
        for number in range(4):
            increments.add_data(number)
            run.log({"pieces": increments})
        dates = wandb.Artifact("dates", "dataset")
        dates.add(wandb.Table(dataframe=pd.DataFrame({"when": pd.to_datetime(["2024-02-29", "2024-01-01"])})), "t")
        run.log_artifact(dates).wait()
        pictures = [wandb.Image(np.full((4, 4), at, np.uint8), caption=f"picture {at}") for at in range(100)]
        run.log({"samples": pictures, "zz": wandb.Image(np.ones((4, 4), np.uint8))})
        run.log({"now_and_then": wandb.Image(np.ones((4, 4), np.uint8))})
        run.log({"now_and_then": None})
        wide: list[Any] = [[float(row * at) for at in range(784)] for row in range(3)]
        run.log({"wide": wandb.Table([f"x{at}" for at in range(784)], wide)})
        points = wandb.Table(["x", "y"], [[at, at * at] for at in range(30)])
        run.log({"squares": wandb.plot.line(points, "x", "y", title="squares")})
    return run


def table(registry: Registry, run: wandb.Run, key: str, query: str = "") -> str:
    """The page of a table among the run's files."""
    names = [file.name for file in registry.api().run(f"whole/{run.id}").files()]
    name = next(name for name in names if name.startswith(f"media/table/{key}_"))
    return page(registry, f"/local/whole/runs/{run.id}/files/{quote(name)}{query}")


def page(registry: Registry, address: str, status: int = 200) -> str:
    answer = registry.send("GET", address, headers=_session(registry))
    assert answer.status == status, answer.text
    return answer.text


def _session(registry: Registry) -> dict[str, str]:
    answer = registry.send("POST", "/login", f"key={registry.key}".encode(), signed_in=False)
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def first_cells(text: str) -> list[str]:
    """The cells of the first column."""
    return re.findall(r"</th>\s*<td[^>]*>([^<]*)</td>", text)


def test_filter_and_csv_have_the_whole_text(registry: Registry, run: wandb.Run):
    assert "Rows 1–1 of 1" in table(registry, run, "answers", "?q=" + quote("äpfel"))
    rows = list(csv.reader(io.StringIO(table(registry, run, "answers", "?view=csv"))))
    assert rows[1] == [LONG, str(VECTOR)]


def test_a_cell_that_is_cut_says_so_and_its_row_has_all(registry: Registry, run: wandb.Run):
    text = table(registry, run, "answers")
    assert "all 610 characters" in text
    assert LONG not in text
    assert LONG in table(registry, run, "answers", "?row=1")


def test_an_empty_table_says_that_it_is_empty(registry: Registry, run: wandb.Run):
    assert "The table has no rows." in table(registry, run, "nothing")


def test_any_number_sorts_by_its_value(registry: Registry, run: wandb.Run):
    by_score = table(registry, run, "scores", "?sort=-c1")
    assert first_cells(by_score) == ["d", "a", "c", "b"]
    assert "NaN" in by_score
    assert "−∞" in by_score
    assert first_cells(table(registry, run, "scores", "?sort=c2")) == ["c", "a", "d", "b"]


def test_media_are_found_by_key_and_stand_together(registry: Registry, run: wandb.Run):
    base = f"/local/whole/runs/{run.id}/media"
    found = page(registry, f"{base}?part=SAMP")
    assert "Keys 1–1 of 1" in found
    assert found.count("<figcaption") == 1, "twelve pictures of a key are one panel"
    assert len(re.findall(r'<img class="shown', found)) == 12
    assert "picture 11" in found
    assert "None of the" in page(registry, f"{base}?part=absent")
    pictures = page(registry, f"{base}?kind=pictures")
    assert re.search(r'<option value="pictures" selected>pictures \d+</option>', pictures)
    assert sorted(re.findall(r"<figcaption[^>]*><strong>(\w+)", pictures)) == ["now_and_then", "samples", "zz"]
    assert re.findall(r"<figcaption[^>]*><strong>(\w+)", page(registry, f"{base}?kind=plots")) == ["squares"]
    assert "is of the kind “sounds”" in page(registry, f"{base}?kind=sounds")
    scores = page(registry, f"{base}?part=scores")
    assert re.findall(r"<tr>\s*<td[^>]*>([^<]*)</td>", scores) == ["a", "b", "c", "d"]
    wide = page(registry, f"{base}?part=wide")
    assert "Rows 1–3 of 3, 8 of 784 columns" in wide


def test_a_configured_number_reads_as_it_was_typed(registry: Registry):
    """The page of a run showed 0.0001234."""
    with registry.run("whole", config={"lr": 0.00012345, "momentum": 0.3}) as typed:
        pass
    shown = page(registry, f"/local/whole/runs/{typed.id}")
    assert "<dd>0.00012345</dd>" in shown
    assert "<dd>0.3</dd>" in shown


def test_a_table_logged_piece_by_piece_is_one_table(registry: Registry, run: wandb.Run):
    text = page(registry, f"/local/whole/runs/{run.id}/media")
    address = re.search(r'href="([^"]+incr-pieces[^"]+)"', text)
    assert address
    assert first_cells(page(registry, address[1])) == ["0", "1", "2", "3"]


def test_a_partitioned_table_is_one_table(registry: Registry, run: wandb.Run):
    """Its page showed the JSON that names its folder."""
    parts = wandb.Artifact("partitioned", "dataset")
    parts.add(data_types.PartitionedTable(parts_path="parts"), "whole")
    for number in range(3):
        parts.add(wandb.Table(["number"], [[number]]), f"parts/{number}")
    with registry.run("whole") as other:
        other.log_artifact(parts).wait()
    text = page(registry, "/local/whole/artifacts/dataset/partitioned/v0/files/whole.partitioned-table.json")
    assert first_cells(text) == ["0", "1", "2"]


def test_a_joined_table_is_one_table(registry: Registry, run: wandb.Run):
    joined = wandb.Artifact("joined", "dataset")
    left = wandb.Table(["id", "truth"], [[1, "cat"], [2, "dog"]])
    right = wandb.Table(["id", "guess"], [[2.0, "cow"], [3.0, "fox"]])
    joined.add(data_types.JoinedTable(left, right, "id"), "both")
    with registry.run("whole") as more:
        more.log_artifact(joined).wait()
    text = page(registry, "/local/whole/artifacts/dataset/joined/v0/files/both.joined-table.json?view=csv")
    _, *rows = list(csv.reader(io.StringIO(text)))
    assert rows == [["1", "cat", "", ""], ["2", "dog", "2.0", "cow"], ["", "", "3.0", "fox"]]


def test_a_joined_table_may_have_a_side_in_another_version(registry: Registry, run: wandb.Run):
    """Its page showed the JSON that names the sides."""
    first, second = wandb.Artifact("labels", "dataset"), wandb.Artifact("joined-apart", "dataset")
    picture = wandb.Image(np.zeros((4, 4), np.uint8))
    first.add(wandb.Table(["id", "truth", "img"], [[1, "cat", picture], [2, "dog", picture]]), "labels")
    with registry.run("whole") as one:
        one.log_artifact(first).wait()
    with registry.run("whole") as two:
        labels = two.use_artifact("labels:v0").get("labels")
        second.add(data_types.JoinedTable(labels, wandb.Table(["id", "guess"], [[1, "cow"]]), "id"), "both")
        two.log_artifact(second).wait()
    base = "/local/whole/artifacts/dataset/joined-apart/v0/files/both.joined-table.json"
    _, *rows = list(csv.reader(io.StringIO(page(registry, f"{base}?view=csv"))))
    assert [(row[1], row[-1]) for row in rows] == [("cat", "cow"), ("dog", "")]
    shown = page(registry, base)
    source = re.search(r'src="([^"]*labels/v0/raw/[^"]+)"', shown)
    assert source, "the picture is asked for where it lies"
    assert registry.send("GET", source[1], headers=_session(registry)).status == 200
    assert "Joined by" not in shown


def test_tables_of_several_runs_stand_side_by_side(registry: Registry):
    made: list[str] = []
    for number in range(2):
        with registry.run("whole", name=f"side-{number}") as one:
            pictures = [wandb.Image(np.full((4, 4), at, np.uint8)) for at in range(3)]
            ids = range(3) if number else (2, 1)
            rows: list[Any] = [[at, f"said {number} {at}", pictures[at]] for at in ids]
            one.log({"guesses": wandb.Table(["id", "said", "img"], rows)})
            made.append(one.id)
    runs = f"run={made[0]}&run={made[1]}"
    compared = page(registry, f"/local/whole/compare?{runs}")
    address = html.unescape(re.findall(r'href="([^"]*/tables[^"]*)"', compared)[0])
    by_number = list(csv.reader(io.StringIO(page(registry, f"{address}&view=csv"))))
    assert by_number[0][:2] == ["side-0: id", "side-0: said"]
    assert [(row[1], row[4]) for row in by_number[1:]] == [
        ("said 0 2", "said 1 0"),
        ("said 0 1", "said 1 1"),
        ("", "said 1 2"),
    ]
    by_id = list(csv.reader(io.StringIO(page(registry, f"{address}&by=id&view=csv"))))
    assert [(row[1], row[4]) for row in by_id[1:]] == [
        ("said 0 2", "said 1 2"),
        ("said 0 1", "said 1 1"),
        ("", "said 1 0"),
    ]
    text = page(registry, f"{address}&by=id")
    assert '<option value="id" selected>' in text
    pictures = re.findall(r'<img class="px" src="([^"]+)"', text)
    assert len({address.partition("/raw/")[0] for address in pictures}) == 2, "each run's pictures are in its version"
    for source in (pictures[0], pictures[-1]):
        assert registry.send("GET", source, headers=_session(registry)).headers["content-type"] == "image/png"
    assert "has no column &#39;nothing&#39;" in page(registry, f"{address}&by=nothing", status=400)
    assert "nothing to join" in page(registry, f"/local/whole/tables?key=guesses&run={made[0]}", status=404)


def test_dates_are_dates_and_sort_so(registry: Registry, run: wandb.Run):
    text = page(registry, "/local/whole/artifacts/dataset/dates/v0/files/t.table.json?sort=c0")
    assert first_cells(text) == ["2024-01-01 00:00:00", "2024-02-29 00:00:00"]


def test_one_key_hides_no_other_and_all_its_files_can_be_reached(registry: Registry, run: wandb.Run):
    media = f"/local/whole/runs/{run.id}/media"
    text = page(registry, media)
    assert "12 of 100 files of samples are shown." in text
    assert "<strong>zz</strong>" in text
    text = page(registry, f"{media}?key=samples")
    way = re.search(r'href="([^"]+step=\d+)"', text)
    assert way
    step = way[1].replace("&amp;", "&")
    seen = {at for number in (1, 2, 3) for at in re.findall(r"picture (\d+)<", page(registry, f"{step}&page={number}"))}
    assert len(seen) == 100


@pytest.mark.parametrize("step", ["9" * 30, "9" * 5000, "-1", "x"])
def test_a_step_that_a_key_never_had_shows_nothing(registry: Registry, run: wandb.Run, step: str):
    text = page(registry, f"/local/whole/runs/{run.id}/media?key=samples&step={step}")
    assert "Nothing was logged under “samples”." in text


def test_a_chart_of_a_table_says_where_all_its_values_are(registry: Registry, run: wandb.Run):
    text = page(registry, f"/local/whole/runs/{run.id}/media")
    way = re.search(r'<a href="([^"]+)">Open as a table</a>', text)
    assert way
    assert "30 rows" in page(registry, way[1])


def test_a_key_that_is_none_on_some_steps_keeps_its_pictures(registry: Registry, run: wandb.Run):
    address = f"/local/whole/runs/{run.id}"
    for shown in (address, f"{address}/media", f"{address}/media?key=now_and_then"):
        assert re.search(r"<img[^>]*now_and_then_[^>]*>", page(registry, shown)), shown


def test_a_table_of_many_columns_shows_all_of_them_page_by_page(registry: Registry, run: wandb.Run):
    first = table(registry, run, "wide")
    assert "3 rows × 784 columns" in first
    assert "Columns 1–50 of 784" in first
    assert ">x50<" not in first
    last = table(registry, run, "wide", "?columns=16&sort=-c783&q=783.0")
    assert ">x783" in last
    assert "Rows 1–1 of 1" in last


def test_a_table_of_too_many_columns_says_so_and_can_be_had(registry: Registry):
    with registry.run("wider") as run:
        run.log({"wider": wandb.Table([f"x{at}" for at in range(1200)], [list(range(1200))])})
    name = next(file.name for file in registry.api().run(f"wider/{run.id}").files() if "table/wider" in file.name)
    text = page(registry, f"/local/wider/runs/{run.id}/files/{quote(name)}")
    assert "The table has 1200 columns; up to 999 are shown. Download it instead." in text
    assert "download" in text


def test_a_run_that_has_only_media_or_no_artifacts_says_no_wrong_thing(registry: Registry):
    with registry.run("only-media") as run:
        run.log({"picture": wandb.Image(np.ones((4, 4), np.uint8))})
    text = page(registry, f"/local/only-media/runs/{run.id}")
    assert "No numbers were logged, only media: see below." in text
    assert "Artifacts in and out" not in text
