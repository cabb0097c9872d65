"""Register the model: link its version to the registered model, and write a receipt of its bytes.

    models/model.h5 ──▶ register ──▶ models/registered.json

dvc.yaml declares the link (`meta.wandb.links`). The receipt holds no version number, so it is the same with any
registry.

Run by `dvc repro`, or alone: python -m stages.register
"""

from __future__ import annotations

import json

from dvc_wandb import tracked_run
from stages.params import checked


def main() -> None:
    with tracked_run("register") as run:
        params = checked(run)
        receipt = {
            "registered_model": params["registered_model"],
            "model_md5": run.md5("model.h5"),
            "model_bytes": run.dep("model.h5").stat().st_size,
        }
        run.out("registered.json").write_text(json.dumps(receipt, indent=2) + "\n")


if __name__ == "__main__":
    main()
