"""Choose the digits: balanced training and evaluation splits of handwritten digits.

    digits ──▶ prepare ──▶ data/mnist: train.npz (x_train, y_train), eval.npz (x_eval, y_eval)

Images are float32 in [0, 1] of shape (n, 28, 28, 1), labels int64.

Run by `dvc repro`, or alone: python -m stages.prepare
"""

from __future__ import annotations

import io
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dvc_wandb import tracked_run
from stages.dataset import load_split
from stages.params import checked
from stages.sources import choose


def main() -> None:
    with tracked_run("prepare") as run:
        params = checked(run)

        # Draw the digits
        source = params["data.source"]
        train, evaluation = choose(source, params["data.train_size"], params["data.eval_size"], params["seed"])
        print(f"Generated {len(train[1])} rows of training data.")
        print(f"Generated {len(evaluation[1])} rows of eval data.")
        if source.endswith(".npz") and not run.depends_on(source):
            print(f"Add {source} to the deps of prepare in dvc.yaml, else DVC won't see it change.", file=sys.stderr)

        # Save them as the network reads them
        folder = run.out("mnist")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, (x, y) in {"train": train, "eval": evaluation}.items():
            pixels = np.expand_dims(x.astype("float32") / 255, -1)
            save_arrays(folder / f"{name}.npz", {f"x_{name}": pixels, f"y_{name}": y})


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
    """W&B tables of the dataset, `train_table` and `eval_table`: one row per digit, with its picture."""
    import wandb

    tables_by_name = {}
    for name in ("train", "eval"):
        x, y = load_split(folder, name)
        table = wandb.Table(data=[], columns=[])
        table.add_column(f"x_{name}", x)
        table.add_column(f"y_{name}", y)
        # uint8 on purpose: wandb.Image casts floats in [0, 1] without scaling, which gives black pictures
        pictures = np.rint(x * 255).astype("uint8")
        table.add_computed_columns(lambda row, _, pictures=pictures: {"img": wandb.Image(pictures[row])})
        tables_by_name[f"{name}_table"] = table
    return tables_by_name


if __name__ == "__main__":
    main()
