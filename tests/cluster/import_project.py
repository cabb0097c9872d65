"""A project of the shape of DVC's public example: imported data, folders as outs, plots and metrics within one.

The posts come by `dvc import` from another repository, so they are in no remote of the project's own.
"""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

STAGES = """
artifacts:
  is-about-r:
    path: model.pkl
    type: model
    desc: Tells posts about R from others
stages:
  prepare:
    cmd: python src/prepare.py data/posts.tsv
    deps: [data/posts.tsv, src/prepare.py]
    params: [prepare.seed, prepare.split]
    outs: [data/prepared]
  featurize:
    cmd: python src/featurize.py data/prepared data/features
    deps: [data/prepared, src/featurize.py]
    params: [featurize.most]
    outs: [data/features]
  train:
    cmd: python src/train.py data/features model.pkl
    deps: [data/features, src/train.py]
    params: [train.smoothing]
    outs: [model.pkl]
  evaluate:
    cmd: python src/evaluate.py model.pkl data/features
    deps: [model.pkl, data/features, src/evaluate.py]
    outs: [eval]
metrics: [eval/metrics.json]
plots:
  - eval/plots/scores.csv: {x: part, y: right}
  - eval/plots/images/weights.png
"""
PARAMS = """
prepare: {seed: 7, split: 0.25}
featurize: {most: 20}
train: {smoothing: 0.5}
"""
SCRIPTS = {
    "prepare": """
import random, sys
from pathlib import Path

import yaml

params = yaml.safe_load(open("params.yaml"))["prepare"]
chance = random.Random(params["seed"])
parts = {"train": [], "test": []}
for line in open(sys.argv[1]):
    parts["test" if chance.random() < params["split"] else "train"].append(line)
Path("data/prepared").mkdir(parents=True)
for name, lines in parts.items():
    Path("data/prepared", f"{name}.tsv").write_text("".join(lines))
""",
    "featurize": """
import collections, pickle, sys
from pathlib import Path

import yaml

source, target = map(Path, sys.argv[1:])
most = yaml.safe_load(open("params.yaml"))["featurize"]["most"]
posts = {
    name: [line.rstrip().split("\\t") for line in (source / f"{name}.tsv").open()] for name in ("train", "test")
}
count = collections.Counter(word for _, text in posts["train"] for word in text.split())
words = sorted(word for word, _ in sorted(count.items(), key=lambda one: (-one[1], one[0]))[:most])
target.mkdir(parents=True)
for name, lines in posts.items():
    rows = [(int(label), [text.split().count(word) for word in words]) for label, text in lines]
    (target / f"{name}.pkl").write_bytes(pickle.dumps((words, rows)))
""",
    "train": """
import math, pickle, sys
from pathlib import Path

import yaml

smoothing = yaml.safe_load(open("params.yaml"))["train"]["smoothing"]
words, rows = pickle.loads(Path(sys.argv[1], "train.pkl").read_bytes())
seen = {label: [smoothing + sum(row[at] for one, row in rows if one == label) for at in range(len(words))]
        for label in (0, 1)}
weights = [math.log(a / sum(seen[1])) - math.log(b / sum(seen[0])) for a, b in zip(seen[1], seen[0])]
Path(sys.argv[2]).write_bytes(pickle.dumps(weights))
""",
    "evaluate": """
import json, pickle, sys
from pathlib import Path

from PIL import Image

weights = pickle.loads(Path(sys.argv[1]).read_bytes())
right = {}
for name in ("train", "test"):
    _, rows = pickle.loads(Path(sys.argv[2], f"{name}.pkl").read_bytes())
    hits = [(sum(w * n for w, n in zip(weights, row)) > 0) == label for label, row in rows]
    right[name] = sum(hits) / len(hits)
Path("eval/plots/images").mkdir(parents=True)
Path("eval/metrics.json").write_text(json.dumps({"right": right}))
Path("eval/plots/scores.csv").write_text("part,right\\n" + "".join(f"{n},{r}\\n" for n, r in right.items()))
Image.frombytes("L", (len(weights), 1), bytes(int(w * 20) % 256 for w in weights)).save("eval/plots/images/weights.png")
""",
}
TOPICS = {1: ("r", "frame", "vector", "ggplot"), 0: ("java", "thread", "class", "loop")}
COMMON = ("how", "do", "i", "a", "the", "of", "error", "list")


def make(path: Path) -> Clone:
    """The project, in which nothing has run, beside the repository that its data is imported from."""
    source = project_in(path.with_name(f"{path.name}-posts"))
    _begin(source)
    (source.path / "posts.tsv").write_text("".join(_posts(400)))
    source.run("dvc", "add", "--quiet", "posts.tsv")
    _commit(source, "Posts")

    project = project_in(path)
    _begin(project)
    (path / "data").mkdir()
    (path / "src").mkdir()
    (path / "dvc.yaml").write_text(STAGES)
    (path / "params.yaml").write_text(PARAMS)
    for name, text in SCRIPTS.items():
        (path / f"src/{name}.py").write_text(text)
    project.run("dvc", "import", "--quiet", str(source.path), "posts.tsv", "--out", "data/posts.tsv")
    _commit(project, "Which posts are about R")
    return project


def _begin(project: Clone) -> None:
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")


def _commit(project: Clone, message: str) -> None:
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", message)


def _posts(count: int) -> list[str]:
    """Lines of a label, 1 for posts about R, and a text; the same ones always."""
    lines = []
    for at in range(count):
        label = at % 3 == 0
        words = [COMMON[at * step % len(COMMON)] for step in (1, 3, 5)] + [TOPICS[label][at * 7 % 4]]
        lines.append(f"{int(label)}\t{' '.join(words)}\n")
    return lines
