"""Any DVC project, its stages untouched: the registry is held against the lock files through `wandb.Api()` alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from PIL import Image

from dvc_wandb.project.pipeline import Pipeline
from dvc_wandb.sync import media
from tests.conftest import Clone, api_of
from tests.dvc_wandb.conftest import project_in
from tests.dvc_wandb.foreign import ODD_NAMES, WEB

LOCKS = ("", "sub/", "sub-two/deeper/")
WDIRS = {"below": "below/"}


@pytest.fixture
def api(foreign_project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> wandb.Api:
    return api_of(foreign_project, monkeypatch, tmp_path)


def lock_entries(project: Clone) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The name of each stage as the runs have it, the folder that its paths start from, its entry in dvc.lock."""
    for folder in LOCKS:
        for name, entry in yaml.safe_load(project.read(f"{folder}dvc.lock"))["stages"].items():
            yield f"{folder}dvc.yaml:{name}" if folder else name, folder + WDIRS.get(name, ""), entry


def in_project(folder: str, path: str) -> str:
    """A path of dvc.lock as seen from the project's root; an address stays as it is."""
    if "://" in path or path.startswith("/"):
        return path
    parts: list[str] = []
    for part in Path(folder, path).parts:
        parts.pop() if part == ".." else parts.append(part)
    return "/".join(parts)


def value(entry: dict[str, Any]) -> str:
    return entry.get("md5") or entry.get("checksum") or entry["etag"]


def hexed(digest: str) -> str:
    return base64.b64decode(digest).hex()


def by_path(artifacts: Any) -> dict[str, wandb.Artifact]:
    """Versions by the path of the DVC content that they mirror; a chart's table is W&B's own."""
    mirrored = (one for one in artifacts if one.type != "run_table")
    return {one.metadata["dvc"]["path"].removeprefix("file://"): one for one in mirrored}


def files_of_folder(project: Clone, md5: str) -> dict[str, str]:
    """The files of a folder out as DVC's own cache lists them."""
    listed = project.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    return {file["relpath"]: file["md5"] for file in json.loads(listed.read_text())}


def test_every_out_has_its_files_and_md5s(foreign_project: Clone, api: wandb.Api):
    runs = {run.name: run for run in api.runs("project") if run.name != "sources"}
    seen = 0
    for stage, folder, entry in lock_entries(foreign_project):
        logged = by_path(runs[stage].logged_artifacts())
        assert set(logged) == {in_project(folder, out["path"]) for out in entry.get("outs", [])}, stage
        for out in entry.get("outs", []):
            version = logged[in_project(folder, out["path"])]
            assert f"dvc-{out['md5']}" in version.aliases
            held = {name: file.digest for name, file in version.manifest.entries.items()}
            if out["path"].startswith("/"):
                (file,) = version.manifest.entries.values()
                assert (file.ref, file.digest) == (f"file://{out['path']}", out["md5"])
            elif out["md5"].endswith(".dir"):
                assert {n: hexed(d) for n, d in held.items()} == files_of_folder(foreign_project, out["md5"])
            else:
                assert {n: hexed(d) for n, d in held.items()} == {Path(out["path"]).name: out["md5"]}
            seen += 1
    assert seen == 30


def test_every_edge_is_there_and_no_other(foreign_project: Clone, api: wandb.Api):
    runs = {run.name: run for run in api.runs("project")}
    for stage, folder, entry in lock_entries(foreign_project):
        used = by_path(runs[stage].used_artifacts())
        wanted = {in_project(folder, dep["path"]): value(dep) for dep in entry.get("deps", [])}
        inside = {"folder/one.csv"} & wanted.keys()  # one file of a folder: the folder's version is used
        assert set(used) == (wanted.keys() - inside) | ({"folder"} if inside else set()), stage
        for path, md5 in wanted.items():
            if path in inside:
                assert hexed(used["folder"].manifest.entries["one.csv"].digest) == md5
            else:
                assert used[path].metadata["dvc"]["md5"] == md5


def test_a_run_says_what_dvc_lock_says_of_its_execution(foreign_project: Clone, api: wandb.Api):
    head = foreign_project.git("rev-parse", "HEAD").strip()
    runs = {run.name: run for run in api.runs("project")}
    for stage, _, entry in lock_entries(foreign_project):
        assert runs[stage].config["dvc"]["cmd"] == entry["cmd"]
        assert runs[stage].commit == head
        assert runs[stage].state == "finished"
    assert runs["train@us"].config["regions"] == {"us": {"rate": 0.2}}
    assert runs["score"].config["conf/other.toml"] == {"deep": {"value": 3}}
    # A parameter named dvc was hidden by what DVC knows
    assert runs["score"].config["params"] == {"dvc": {"depth": 3}}
    assert runs["sub/dvc.yaml:prepare"].config["sub/params"] == {"subseed": 1}
    assert runs["score"].summary["accuracy"] == 0.5
    rows = [row for row in runs["score"].scan_history() if row.get("epoch/loss") is not None]
    assert [row["epoch/loss"] for row in rows] == [3.5, 2.5, 1.5]


def test_imports_and_added_files_are_there(foreign_project: Clone, api: wandb.Api):
    runs = {run.name: run for run in api.runs("project")}
    for file in ("imported.csv", "downloaded.csv"):
        (dep,) = yaml.safe_load(foreign_project.read(f"{file}.dvc"))["deps"]
        (version,) = runs[f"{file}.dvc"].used_artifacts()
        (origin,) = version.manifest.entries.values()
        assert origin.digest == value((dep.get("repo") and {"etag": dep["repo"]["rev_lock"]}) or dep)
        assert dep["path"] in str(origin.ref)
        (made,) = runs[f"{file}.dvc"].logged_artifacts()
        assert (
            hexed(made.manifest.entries[file].digest)
            == yaml.safe_load(foreign_project.read(f"{file}.dvc"))["outs"][0]["md5"]
        )
    added = by_path(runs["sources"].logged_artifacts())
    assert {"added.bin", "added folder", "code", "raw.csv", "vendored/lib.txt"} <= set(added)
    assert hexed(added["added folder"].manifest.entries["p.txt"].digest) == hashlib.md5(b"p\n").hexdigest()


def test_odd_names_and_empty_files_come_back_byte_for_byte(foreign_project: Clone, api: wandb.Api, tmp_path: Path):
    folder = Path(api.artifact("project/folder:latest").download(str(tmp_path / "folder")))
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {*ODD_NAMES, "one.csv"}
    for name in ODD_NAMES:
        assert (folder / name).read_bytes() == (foreign_project.path / "folder" / name).read_bytes()
    assert api.artifact("project/nothing:latest").file_count == 0


def test_names_come_from_the_artifacts_sections_and_never_collide(foreign_project: Clone, api: wandb.Api):
    logged = [one for run in api.runs("project") for one in run.logged_artifacts()]
    artifacts = [one for one in logged if one.type != "run_table"]
    names: dict[str, set[str]] = {}
    for one in artifacts:
        names.setdefault(one.name.split(":")[0], set()).add(one.metadata["dvc"]["path"])
    assert all(len(paths) == 1 for paths in names.values())
    assert names["best"] == {"models/eu.txt"}
    assert {path for name, (path,) in names.items() if name.startswith("best--")} == {"sub/prepared.csv"}


def test_a_second_mirror_does_nothing_and_verify_agrees(foreign_project: Clone, api: wandb.Api):
    runs, version = len(api.runs("project")), api.artifact("project/folder:latest").version
    again = foreign_project.run("dvc-wandb", "mirror")
    assert "mirroring" not in again.text
    api.flush()
    assert (len(api.runs("project")), api.artifact("project/folder:latest").version) == (runs, version)
    assert "21 stages, 57 edges, 50 files" in foreign_project.run("dvc-wandb", "verify").text
    deep = foreign_project.json("dvc-wandb", "verify", "--deep", "--json")
    assert deep["agree"]
    assert deep["downloaded"] == deep["files"] - 5  # references have no bytes here


@pytest.mark.slow
def test_any_folder_of_the_project_gives_the_same(foreign_project: Clone):
    below = Clone(foreign_project.path / "sub/below", foreign_project.env)
    assert "mirroring" not in below.run("dvc-wandb", "mirror").text
    # A stage's kind of job was `../../dvc.yaml:twin` there, in the runs too
    shown = foreign_project.run("dvc-wandb", "show").text
    assert below.run("dvc-wandb", "show").text == shown


@pytest.mark.slow
def test_metrics_and_plots_are_shown_in_every_format_and_mirrored_though_they_are_none(
    foreign_project: Clone, api: wandb.Api
):
    # Metrics in TOML or in a folder, and a file that only claims to be a plot, left their stage without a run
    (told,) = (run for run in api.runs("project") if run.name == "told")
    assert told.summary["share"]["of"] == 0.25
    assert told.summary["1"] == 0.5
    (prepare,) = (run for run in api.runs("project") if run.name == "sub/dvc.yaml:prepare")
    assert [row["step/loss"] for row in prepare.scan_history()] == [2, 1]
    # The tables of a folder were left out, and of two pictures with one name the first was
    # and of two folders' tables with one name one took the place of the other
    rows = list(told.scan_history())
    assert [(row.get("live/loss"), row.get("train/loss")) for row in rows][:2] == [(None, 4), (3, 2)]
    assert [row.get("again/loss") for row in rows][:2] == [9, 8]
    assert {"near/pic.png", "far/pic.png"} <= {*told.summary.keys()}
    page = foreign_project.run("dvc-wandb", "report").text
    assert "The loss below: loss ends at 1" in page  # files of a section in a subfolder were looked for in the root
    assert "Taken for (rows: actual" in page
    assert "Both losses: sub/loss.tsv loss ends at 1, again loss ends at 8" in page  # the second file's alone was drawn


@pytest.mark.slow
def test_a_value_that_dvc_cannot_hold_is_one_sentence(foreign_project: Clone):
    # A date in params.yaml ended every command in a traceback of DVC's
    params = foreign_project.read("params.yaml")
    (foreign_project.path / "params.yaml").write_text(f"{params}day: 2026-01-02\n")
    try:
        done = foreign_project.run("dvc-wandb", "show", ok=False)
    finally:
        (foreign_project.path / "params.yaml").write_text(params)
    assert done.code == 1
    assert done.text.startswith("dvc-wandb: DVC can't read this project: Unsupported value of type 'date'")


@pytest.mark.soak
def test_a_clone_is_mirrored_to_a_second_registry_from_the_cache_and_git(
    foreign_project: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The clone has no file of DVC's: folders, imports and added files come from the cache that it shares."""
    assert WEB
    clone = Clone(tmp_path / "elsewhere", foreign_project.env)
    origin = str(foreign_project.path)
    foreign_project.git(
        "-c", "protocol.file.allow=always", "clone", "-q", "--recurse-submodules", origin, str(clone.path)
    )
    clone.run("dvc", "cache", "dir", "--local", f"{origin}/.dvc/cache")
    try:
        done = clone.run("dvc-wandb", "mirror")
        assert "not mirrored" not in done.text
        assert clone.run("dvc-wandb", "verify").code == 0
        second = api_of(clone, monkeypatch, tmp_path)
        assert second.artifact("project/folder:latest").file_count == len(ODD_NAMES) + 1
    finally:
        clone.run("wandb-registry", "stop", ok=False)


@pytest.mark.slow
def test_a_name_that_the_sdk_refuses_is_told_and_all_else_is_mirrored(tmp_path: Path):
    """`Invalid artifact path: 'a:b'.` was all that was said, and no output of the stage was mirrored."""
    project = project_in(tmp_path / "drives")
    project.run("dvc", "init", "--no-scm", "--quiet")
    (project.path / "dvc.yaml").write_text(
        "stages: {make: {cmd: 'mkdir folder && echo 1 > folder/a:b && echo 2 > two && echo 3 > three', "
        "deps: [source/run.py], outs: [folder, three, two]}}\nartifacts: {two: {path: two, type: 'a/b: c'}}"
    )
    (project.path / "source").mkdir()
    (project.path / "source/run.py").write_text("pass")  # W&B's own are the artifacts `source-…` of the type `code`
    project.run("dvc", "repro", "--quiet")
    (project.path / "three").unlink()
    md5 = hashlib.md5(b"3\n").hexdigest()
    damaged = project.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    damaged.chmod(0o644)
    damaged.write_text("damaged")
    try:
        done = project.run("dvc-wandb", "mirror", ok=False)
        assert done.code == 1
        assert "make was not mirrored: in folder is a file named 'a:b'" in done.text
        assert f"make was not mirrored: three: the bytes in {damaged} are not those of {md5}" in done.text
        assert "Remove that file. `dvc repro make` makes it." in done.text
        assert "two:v0" in done.text
        differences = project.json("dvc-wandb", "verify", "--json", ok=False)["drifts"]
        assert {one["where"] for one in differences} == {
            "folder",
            "make",
            "three",
        }  # those that W&B's own types would stop, too
    finally:
        project.run("wandb-registry", "stop", ok=False)


@pytest.mark.slow
def test_a_function_of_dvc_yaml_that_fails_is_named_and_pictures_beyond_the_first_are_told(tmp_path: Path):
    """`No module named 'nothing'`, of which nobody knew who had asked for it."""
    project = project_in(tmp_path / "drawn")
    project.run("dvc", "init", "--no-scm", "--quiet")
    (project.path / "mine.py").write_text(
        "def listed(place): return [place('two')]\ndef lost(place): place('three')\n"
        "def long(place):\n    import wandb\n    return {'long': wandb.Table(['n'], [[n] for n in range(10001)])}\n"
    )
    Image.new("L", (1, 1)).save(project.path / "pic.png")
    (project.path / "dvc.yaml").write_text("""
stages:
  one: {cmd: echo 1 > one, outs: [one], meta: {wandb: {views: "nothing:here"}}}
  two: {cmd: echo 2 > two, outs: [two], meta: {wandb: {tables: "mine:listed"}}}
  three: {cmd: echo 3 > 3, outs: ["3"], meta: {wandb: {tables: "mine:lost"}}}
  shots:
    cmd: |
      mkdir shots && echo actual,predicted > pairs.csv
      for n in $(seq 101); do cp pic.png shots/$n.png && echo $n,$n >> pairs.csv; done
    plots: [shots, pairs.csv]
    meta: {wandb: {tables: "mine:long"}}
plots:
  - taken for: {template: confusion, x: actual, y: {pairs.csv: predicted}}
""")
    project.run("dvc", "repro", "--quiet")
    try:
        done = project.run("dvc-wandb", "mirror", ok=False)
        for stage, out, named, why in [
            ("one", "one: ", "nothing:here", "No module named 'nothing'"),
            ("two", "", "mine:listed", "it returns a list, not a dict of tables by their names"),
            ("three", "", "mine:lost", "dvc.yaml: no single 'three' among the deps and outs of stage 'three': 3"),
        ]:
            assert (
                f"{stage} was not mirrored: {out}the function '{named}', which `meta.wandb` names in dvc.yaml, failed: "
                f"{why}" in done.text
            )
        limits = [
            "its run shows 100 of 101 pictures; the artifacts have them all",
            "the confusion matrix 'taken for' has 100 of 101 classes, those mistaken most often; pairs.csv has "
            "them all",
            "the table 'long' has 10,000 of 10,001 rows; as one of `meta.wandb.views`, in the artifact, it has up to "
            "200,000",
        ]
        assert [line for line in done.text.splitlines() if line.startswith("shots: ")] == [
            f"shots: {x}." for x in limits
        ]
        assert done.text.count("was not mirrored") == 3
    finally:
        project.run("wandb-registry", "stop", ok=False)


@pytest.mark.soak
def test_an_md5_of_dvc_2_that_is_not_that_of_the_bytes_is_told(tmp_path: Path):
    """`The bytes are not those of …. Remove that file`, of a good file: DVC 2 hashed texts without their CRs."""
    project = project_in(tmp_path / "old")
    project.run("dvc", "init", "--no-scm", "--quiet")
    (project.path / "dvc.yaml").write_text("stages: {make: {cmd: 'printf \"1\\r\\n\" > one', outs: [one]}}")
    project.run("dvc", "repro", "--quiet")
    new, old = (hashlib.md5(text).hexdigest() for text in (b"1\r\n", b"1\n"))
    lock = project.read("dvc.lock").replace("      hash: md5\n", "").replace(new, old)
    (project.path / "dvc.lock").write_text(lock)
    at_first = project.path / ".dvc/cache" / old[:2] / old[2:]
    at_first.parent.mkdir()
    (project.path / ".dvc/cache/files/md5" / new[:2] / new[2:]).rename(at_first)
    try:
        done = project.run("dvc-wandb", "mirror", ok=False)
        assert f"one: {old}, which dvc.lock has, is DVC 2's md5 of a text" in done.text
        (command,) = re.findall(r"`(.+?)`", done.text)
        project.run("sh", "-c", command)
        project.run("dvc-wandb", "mirror")
        assert "agree" in project.run("dvc-wandb", "verify").text
    finally:
        project.run("wandb-registry", "stop", ok=False)


@pytest.mark.slow
def test_a_confusion_matrix_reaches_its_run_however_it_is_defined(tmp_path: Path):
    """Only one whose `y` names its file did."""
    project = project_in(tmp_path / "taken")
    project.run("dvc", "init", "--no-scm", "--quiet")
    (project.path / "dvc.yaml").write_text("""
stages:
  test:
    cmd: |
      mkdir eval && printf 'actual,predicted,second\\n1,1,2\\n2,1,2\\n' > at-out.csv
      cp at-out.csv eval/at-top.csv && cp at-out.csv eval/named.csv && cp at-out.csv eval/lost.csv
    plots:
      - at-out.csv: {template: confusion, x: actual, y: predicted}
    outs: [eval]
plots:
  - eval/at-top.csv: {template: confusion_normalized, x: actual, y: predicted}
  - both: {template: confusion, x: {eval/named.csv: actual}, y: {eval/named.csv: [predicted, second]}}
  - eval/lost.csv: {template: confusion, x: truth, y: predicted}
""")
    project.run("dvc", "repro", "--quiet")
    pipeline = Pipeline(project.path)
    limits: list[str] = []
    found = media.pictures(pipeline, pipeline.locked()[0], limits)
    both = {"both/eval/named.csv/predicted", "both/eval/named.csv/second"}
    assert set(found) == {"at-out.csv", "eval/at-top.csv", *both}
    assert limits == [
        "its run lacks the confusion matrix 'eval/lost.csv': eval/lost.csv has no rows with 'truth' and 'predicted'"
    ]


@pytest.mark.slow
def test_a_metric_counts_over_the_column_of_a_plot_that_has_its_name(tmp_path: Path):
    """The summary kept the column's last value, also after another mirror."""
    project = project_in(tmp_path / "named")
    project.run("dvc", "init", "--no-scm", "--quiet")
    (project.path / "dvc.yaml").write_text("""
stages:
  fit:
    cmd: mkdir live && printf 'step,acc\\n0,0.1\\n1,0.5\\n' > live/acc.csv && echo '{"acc":3}' > best.json
    plots: [live]
    metrics: [best.json]
""")
    project.run("dvc", "repro", "--quiet")
    try:
        project.run("dvc-wandb", "mirror")
        base_url, entity, name = project.json("dvc-wandb", "show", "--json")["registry"].rsplit("/", 2)
        key = project.read(".registry/api-key").strip()
        (run,) = wandb.Api(overrides={"base_url": base_url}, api_key=key).runs(f"{entity}/{name}")
        assert run.summary["acc"] == 3
        assert [row["acc"] for row in run.scan_history(keys=["acc"])] == [0.1, 0.5]
    finally:
        project.run("wandb-registry", "stop", ok=False)
