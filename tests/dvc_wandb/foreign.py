"""A DVC project that knows nothing of this one, with every shape that DVC allows, run once by real `dvc`.

No stage imports `lineage`. It has foreach, matrix, templates and `vars`, dvc.yaml files in two subfolders, a `wdir`,
folder outs with odd names and empty files, a dependency on one file of another stage's folder, equal bytes at two
paths, metrics and plots that git keeps, stages without outs, outs and deps outside of the project and on a web server,
`dvc add`, `dvc import`, `dvc import-url` and a git submodule.
"""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.conftest import Clone

ODD_NAMES = (
    "with space.txt",
    "ünïcode-é.txt",
    "#hash%25.txt",
    ".hidden",
    "deep/er/a+b&c.txt",
    "empty.txt",
    "quote'\".txt",
)
WEB = {"/rows.csv": b"a,b\n1,2\n", "/import.csv": b"from,the,web\n"}

MAKE_FOLDER = """
import pathlib
for at, name in enumerate({names!r}):
    file = pathlib.Path("folder") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("" if name == "empty.txt" else f"{{at}} {{name}}")
pathlib.Path("folder/one.csv").write_text("x\\n1\\n")
"""

ROOT_STAGES = """
vars:
  - conf/vars.yaml
  - local: {suffix: txt}

stages:
  fetch:
    desc: Read a file on a web server and one outside of the project
    cmd: cat raw.csv > fetched.csv
    deps: [raw.csv, "${web}/rows.csv", "${outside}/given.txt"]
    outs: [fetched.csv]

  folder:
    cmd: python code/folder.py
    deps: [code]
    outs: [folder]

  inside:
    desc: Needs one file of another stage's folder only
    cmd: cp folder/one.csv inside.csv
    deps: [folder/one.csv]
    outs: [inside.csv]

  twin:
    desc: The same bytes at two paths
    cmd: cp fetched.csv twin-a.csv && cp fetched.csv twin-b.csv
    deps: [fetched.csv]
    outs: [twin-a.csv, twin-b.csv]

  train:
    foreach: ${regions}
    do:
      cmd: echo ${item.rate} > models/${key}.${local.suffix}
      deps: [fetched.csv, imported.csv]
      params: ["regions.${key}.rate"]
      outs: ["models/${key}.${local.suffix}"]

  grid:
    matrix:
      size: [small, large]
      model: [a, b]
    cmd: echo ${item.size} ${item.model} > grid-${item.size}-${item.model}.txt
    deps: [added.bin]
    outs: ["grid-${item.size}-${item.model}.txt"]

  score:
    cmd: python code/score.py
    deps: [code, models/eu.txt, vendored/lib.txt]
    params: [seed, dvc.depth, conf/other.toml: [deep.value]]
    metrics:
      - scores.json: {cache: false}
    plots:
      - curve.csv: {cache: false}

  check:
    desc: Has no outs
    cmd: test -s scores.json
    deps: [scores.json]

  publish:
    desc: Its out lies outside of the project
    cmd: cp scores.json ${outside}/published.json
    deps: [scores.json]
    outs:
      - ${outside}/published.json: {cache: false}

  told:
    desc: Metrics in TOML and in a folder, a table in JSON, and what only claims to be metrics or a plot
    cmd: python code/told.py
    deps: [code]
    metrics: [told.toml: {cache: false}, notes.json, marks]
    plots:
      - broken.csv
      - broken.png
      - live
      - again
      - near/pic.png
      - far/pic.png
      - ragged.csv
      - pairs.json: {cache: false, template: confusion, x: actual, y: predicted}

  say:
    desc: Neither reads nor makes anything
    cmd: echo said

  idle:
    desc: Makes a folder without files
    cmd: mkdir -p nothing
    outs: [nothing]

artifacts:
  best: {path: models/eu.txt, type: model, desc: The best one}
"""

SUB_STAGES = """
stages:
  prepare:
    cmd: cp ../fetched.csv prepared.csv && printf 'step\\tloss\\n0\\t2\\n1\\t1\\n' > loss.tsv
    deps: [../fetched.csv]
    params: [subseed]
    outs: [prepared.csv]
    plots: [loss.tsv]
  below:
    wdir: below
    cmd: cp ../prepared.csv final.csv
    deps: [../prepared.csv]
    outs: [final.csv]
artifacts:
  best: {path: prepared.csv, type: dataset}
plots:
  - loss.tsv: {x: step, y: loss, title: The loss below}
  - Both losses: {x: step, y: {loss.tsv: loss, ../again: loss}}
  - Taken for: {template: confusion, x: actual, y: {../pairs.json: predicted}}
"""

OTHER_STAGES = """
stages:
  prepare:
    cmd: cp ../../sub/below/final.csv prepared.csv
    deps: [../../sub/below/final.csv]
    outs: [prepared.csv]
"""

SCORE = """
import json
json.dump({"accuracy": 0.5, "by": {"class": [1, 2]}}, open("scores.json", "w"))
open("curve.csv", "w").write("epoch,loss\\n0,3.5\\n1,2.5\\n2,1.5\\n")
"""

TOLD = """
import base64, pathlib
PIC = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
for name, content in {
    "told.toml": b"day = 2026-01-02\\n[share]\\nof = 0.25\\n",
    "notes.json": b"no JSON",
    "marks/first.yaml": b"1: 0.5\\n",
    "broken.csv": b"\\xff\\xfe,b\\n1,2\\n",
    "broken.png": b"no picture",
    "live/train/loss.tsv": b"step\\tloss\\n0\\t4\\n1\\t2\\n",
    "live/loss.tsv": b"step\\tloss\\n1\\t3\\n",
    "again/loss.tsv": b"step\\tloss\\n0\\t9\\n1\\t8\\n",
    "near/pic.png": base64.b64decode(PIC),
    "far/pic.png": base64.b64decode(PIC),
    "ragged.csv": b"epoch,loss\\n0,1,2\\n1\\n",
    "pairs.json": b'[{"actual": "a", "predicted": "b"},\\n {"actual": "b", "predicted": "b"}]',
}.items():
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_bytes(content)
"""


class Web:
    """A web server on loopback that gives what DVC needs of one: lengths and etags."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Pages(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        body = WEB.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("ETag", f'"etag-{self.path.strip("/")}"')
        self.end_headers()
        if with_body and body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def make(clone: Clone, web: str) -> None:
    """Fill the folder of `clone` with the project, run it, commit it."""
    outside = clone.path.parent / "outside"
    outside.mkdir()
    (outside / "given.txt").write_text("given\n")
    library(clone, "library")
    write = _writer(clone.path)
    clone.git("init", "--quiet", "--initial-branch=main")
    clone.git("config", "protocol.file.allow", "always")
    clone.run("dvc", "init", "--quiet")
    clone.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library", "vendored")
    write("conf/vars.yaml", f"web: {web}\noutside: {outside}\n")
    write("conf/other.toml", "[deep]\nvalue = 3\n")
    write("params.yaml", "seed: 7\ndvc: {depth: 3}\nregions:\n  eu: {rate: 0.1}\n  us: {rate: 0.2}\n")
    write("raw.csv", "c,d\n3,4\n")
    write("code/folder.py", MAKE_FOLDER.format(names=ODD_NAMES))
    write("code/score.py", SCORE)
    write("code/told.py", TOLD)
    write("dvc.yaml", ROOT_STAGES)
    write("sub/dvc.yaml", SUB_STAGES)
    write("sub/params.yaml", "subseed: 1\n")
    write("sub/below/.gitkeep", "")
    write("sub-two/deeper/dvc.yaml", OTHER_STAGES)
    write("models/.gitkeep", "")
    write("added.bin", "added by hand\n")
    write("added folder/p.txt", "p\n")
    clone.run("dvc", "add", "--quiet", "added.bin", "added folder")
    clone.run("dvc", "import", "--quiet", "../library", "shared.csv", "-o", "imported.csv")
    clone.run("dvc", "import-url", "--quiet", f"{web}/import.csv", "downloaded.csv")
    clone.run("dvc", "repro", "--quiet", "--all-pipelines")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "All the shapes")


def library(clone: Clone, name: str) -> None:
    """Another DVC project beside ours, with a file to import and one to vendor."""
    other = Clone(clone.path.parent / name, clone.env)
    other.path.mkdir()
    other.git("init", "--quiet", "--initial-branch=main")
    other.run("dvc", "init", "--quiet")
    (other.path / "shared.csv").write_text("e,f\n5,6\n")
    (other.path / "lib.txt").write_text("vendored\n")
    other.run("dvc", "remote", "add", "--default", "--quiet", "near", str(other.path.parent / f"{name}-remote"))
    other.run("dvc", "add", "--quiet", "shared.csv")
    other.run("dvc", "push", "--quiet")
    other.git("add", "--all")
    other.git("commit", "--quiet", "--message", "A library")


def _writer(root: Path) -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text).lstrip("\n"))

    return write
