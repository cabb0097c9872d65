"""A small project with a past of three commits, run by real `dvc`, for the tests that look back."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

STAGES = """
stages:
  clean:
    cmd: sort raw.csv > clean.csv
    deps: [raw.csv]
    outs: [clean.csv]
  fit:
    desc: Fit <the> "model" & keep it
    cmd: python fit.py
    deps: [fit.py, clean.csv]
    params: [rate]
    outs: [model.txt]
    metrics:
      - score.json: {cache: false}
    plots:
      - curve.csv: {cache: false, x: epoch, y: loss}
  judge:
    cmd: python judge.py
    deps: [judge.py, model.txt, score.json]
    outs:
      - champion.json: {cache: false, persist: true}
    metrics:
      - verdict.json: {cache: false}
    meta: {wandb: {promotes: champion.json}}
artifacts:
  best: {path: model.txt, type: model}
"""
FIT = """
import json, yaml
rate = yaml.safe_load(open("params.yaml"))["rate"]
rows = open("clean.csv").read().split()
open("model.txt", "w").write(f"{rate} {rows}")
json.dump({"score": rate * len(rows), "by": {"rows": len(rows)}}, open("score.json", "w"))
open("curve.csv", "w").write("epoch,loss\\n" + "".join(f"{at},{rate / (at + 1)}\\n" for at in range(4)))
"""
JUDGE = """
import hashlib, json
score = json.load(open("score.json"))["score"]
md5 = hashlib.md5(open("model.txt", "rb").read()).hexdigest()
json.dump({"registered_model": "model-registry/Best", "model_md5": md5}, open("champion.json", "w"))
json.dump({"promoted": True, "decision": f"score {score} is enough | for now."}, open("verdict.json", "w"))
"""


def make(path: Path) -> Clone:
    """The commits: `First data`, `Higher rate` (only the parameter), `More data` (only what `clean` reads)."""
    project = project_in(path)
    project.env["WANDB_MODE"] = "disabled"
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    for name, text in {"dvc.yaml": STAGES, "fit.py": FIT, "judge.py": JUDGE, "params.yaml": "rate: 0.5\n"}.items():
        (project.path / name).write_text(text)
    (project.path / ".gitignore").write_text("/.registry/\n")
    change(project, "First data", raw="b\na\n")
    change(project, "Higher rate", params="rate: 2.0\n")
    change(project, "More data", raw="c\nb\na\n")
    return project


def change(project: Clone, subject: str, raw: str = "", params: str = "") -> None:
    """Write what is given, run the pipeline, commit it."""
    if raw:
        (project.path / "raw.csv").write_text(raw)
    if params:
        (project.path / "params.yaml").write_text(params)
    project.run("dvc", "repro", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", subject)
