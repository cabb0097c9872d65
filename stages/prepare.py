"""Choose the pictures: balanced training and evaluation splits of handwritten digits, or of one's own.

    pictures ──▶ prepare ──▶ data/mnist: train.npz (x_train, y_train), eval.npz (x_eval, y_eval)

Pictures are float32 in [0, 1] of shape (n, height, width, channels), labels int64. Classes that have names of their own
have them in classes.json. sources.py finds the pictures, own_data.py checks them, splits.py draws.

Run by `dvc repro`, or alone: python -m stages.prepare
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import tracked_run
from stages.dataset import NAMES, as_picture, load_classes, load_split, numbered
from stages.own_data import scaled
from stages.params import SEED, auto_or, checked, pair, text, whole
from stages.sources import SOURCES, load
from stages.splits import draw_splits

RULES = {
    "seed": SEED,
    "data.source": text(f"one of {', '.join(SOURCES)}, or the path of an .npz file or a folder"),
    "data.image_size": auto_or(pair(whole(1, 4096, "pixels"), "[64, 48]")),
    "data.train_size": auto_or(whole(10, 10**9, "pictures")),
    "data.eval_size": auto_or(whole(10, 10**9, "pictures")),
}


def main() -> None:
    with tracked_run("prepare") as run:
        params = checked(run, RULES)
        source, size = params["data.source"], params["data.image_size"]
        size = None if size == "auto" else tuple(size)

        # Draw the pictures
        pools = load(source, size)
        train, evaluation = draw_splits(
            source, pools.splits, params["data.train_size"], params["data.eval_size"], params["seed"]
        )
        print(f"Generated {len(train[1])} rows of training data.")
        print(f"Generated {len(evaluation[1])} rows of eval data.")
        if is_elsewhere(source) and not run.depends_on(source):  # in the project, `tracked_run` itself says so
            print(
                f"To have DVC see when {source} changes, add the line\n      - {source}\nunder `deps:` of the stage "
                "prepare in dvc.yaml.",
                file=sys.stderr,
            )

        # Save them as the network reads them
        folder = run.out("mnist")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, (x, y) in {"train": train, "eval": evaluation}.items():
            pixels = scaled(x, size).astype("float32") / 255
            save_arrays(folder / f"{name}.npz", {f"x_{name}": pixels, f"y_{name}": y})
        if pools.classes != numbered(evaluation[1]):
            (folder / NAMES).write_text(json.dumps(pools.classes, ensure_ascii=False, indent=0) + "\n")


def is_elsewhere(source: str) -> bool:
    """Whether `source` is a path that leads out of the project."""
    return source not in SOURCES and not Path(source).resolve().is_relative_to(Path.cwd())


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz whose bytes depend on the arrays alone.

    The bytes of numpy.savez depend on Python's patch release: 3.11.4 writes other headers than 3.11.2. Compressed bytes
    depend on the build of zlib.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), file.getbuffer())


def tables(folder: Path) -> dict[str, Any]:
    """W&B tables of the dataset, `train_table` and `eval_table`: one row per picture, with its label and class."""
    import wandb

    classes, tables_by_name = load_classes(folder), {}
    for name in ("train", "eval"):
        x, y = load_split(folder, name)
        table = wandb.Table(data=[], columns=[])
        table.add_column(f"x_{name}", x)
        table.add_column(f"y_{name}", y)
        if (folder / NAMES).exists():
            table.add_column("class", [classes[label] for label in y])
        table.add_computed_columns(lambda row, _, x=x: {"img": wandb.Image(as_picture(x[row]))})
        tables_by_name[f"{name}_table"] = table
    return tables_by_name


if __name__ == "__main__":
    main()
