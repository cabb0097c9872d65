"""A project with every kind of stage that DVC has, in plain shell, for runs side by side."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.conftest import Clone
from tests.dvc_wandb.conftest import project_in

STAGES = """
stages:
  part:
    foreach: [1, 2, 3, 4, 5, 6, 7, 8]
    do:
      cmd: mkdir -p parts metrics && cat src.txt added.txt > parts/${item}.txt && echo ${item} >> parts/${item}.txt &&
        echo '{"n":' ${item}'}' > metrics/${item}.json
      deps: [src.txt, added.txt]
      params: [scale]
      outs: ["parts/${item}.txt"]
      metrics:
        - metrics/${item}.json: {cache: false}
  grid:
    matrix: {size: [small, large], kind: [a, b]}
    cmd: echo ${item.size} ${item.kind} > grid-${item.size}-${item.kind}.txt
    outs: ["grid-${item.size}-${item.kind}.txt"]
  join:
    desc: Reads a folder around the outs of others
    cmd: cat parts/*.txt > joined.txt
    deps: [parts]
    outs: [joined.txt]
  folder:
    cmd: mkdir -p folder/deep && cp parts/1.txt folder/a && cp parts/2.txt folder/deep/b
    deps: [parts/1.txt, parts/2.txt]
    outs: [folder]
  inside:
    desc: Needs one file of another stage's folder
    cmd: cp folder/deep/b inside.txt
    deps: [folder/deep/b]
    outs: [inside.txt]
  tool:
    cmd: printf '#!/bin/sh\\necho "$@"\\n' > tool.sh && chmod +x tool.sh
    outs:
      - tool.sh: {push: false}
  grown:
    cmd: cat parts/3.txt >> grown.txt
    deps: [parts/3.txt]
    outs:
      - grown.txt: {persist: true}
  plain:
    cmd: cp parts/4.txt plain.txt
    deps: [parts/4.txt]
    outs:
      - plain.txt: {cache: false}
    plots:
      - curve.csv: {cache: false}
  check:
    desc: Has no outs
    cmd: test -s joined.txt
    deps: [joined.txt]
  say:
    desc: Has neither deps nor outs
    cmd: echo said
  always:
    cmd: echo always > always.txt
    always_changed: true
    outs: [always.txt]
  held:
    cmd: cp joined.txt held.txt
    frozen: true
    deps: [joined.txt]
    outs:
      - held.txt: {cache: false}
"""
SUB_STAGES = """
stages:
  last:
    cmd: wc ../joined.txt ../folder/a > last.txt
    deps: [../joined.txt, ../folder]
    outs: [last.txt]
  side:
    cmd: cp ../parts/5.txt side.txt
    deps: [../parts/5.txt]
    outs: [side.txt]
"""
PLOT = "cp parts/4.txt plain.txt"
NOT_COMPARED = {".git", "tmp", ".registry"}


def make(path: Path) -> Clone:
    """The project, in which nothing has run, with a change that nobody has committed."""
    project = project_in(path)
    project.env["WANDB_MODE"] = "disabled"
    project.git("init", "--quiet", "--initial-branch=main")
    project.run("dvc", "init", "--quiet")
    (path / "sub").mkdir()
    stages = STAGES.replace(PLOT, f"{PLOT} && printf 'x,y\\n1,2\\n' > curve.csv")
    texts = {"dvc.yaml": stages, "sub/dvc.yaml": SUB_STAGES, "params.yaml": "scale: 1\n", "held.txt": "held\n"}
    for name, text in {**texts, "src.txt": "source\n", "added.txt": "added\n"}.items():
        (path / name).write_text(text)
    project.run("dvc", "add", "--quiet", "added.txt")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Every kind of stage")
    (path / "src.txt").write_text("changed\n")
    return project


def contents(project: Clone) -> dict[str, tuple[bytes, bool]]:
    """The bytes of every file of the workspace, and whether it may be executed; DVC's cache by its names."""
    found = {}
    for folder, folders, files in os.walk(project.path):
        folders[:] = [name for name in folders if name not in NOT_COMPARED]
        for name in files:
            path = Path(folder, name)
            where = path.relative_to(project.path).as_posix()
            found[where] = (path.read_bytes(), os.access(path, os.X_OK))
    runs = ".dvc/cache/runs"  # their names have a random part
    return {name: content for name, content in found.items() if not name.startswith(runs)}


def copy(project: Clone, path: Path) -> Clone:
    """The project as it is, in another folder."""
    subprocess.run(["cp", "--archive", project.path, path], check=True)
    return Clone(path, project.env)


def ran_serially(project: Clone) -> Clone:
    """A copy of the project in which `dvc repro` has run all stages."""
    done = copy(project, project.path.with_name("serial"))
    done.run("dvc", "repro", "--all-pipelines")
    return done


def differences(one: Clone, other: Clone) -> list[str]:
    """The files in which two workspaces and their caches differ, and whether git tells them apart."""
    left, right = contents(one), contents(other)
    names = [name for name in sorted({*left, *right}) if left.get(name) != right.get(name)]
    return names + ["git status"] * (one.git("status", "--porcelain") != other.git("status", "--porcelain"))


@contextlib.contextmanager
def asleep(head: subprocess.Popen[str]) -> Iterator[None]:
    """Within the block, it stands still with all that it has started, as on a laptop that is closed."""
    processes = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    yield
    for process in processes:
        process.resume()


def at_work(project: Clone) -> list[str]:
    """The processes in the project's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.path) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
