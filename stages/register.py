"""Register the model: its version in W&B is linked to the registered model, and a receipt says which bytes.

    models/model.h5 ──▶ register ──▶ models/registered.json

The link itself is what dvc.yaml says of this stage (`meta.wandb.links`); the receipt holds content facts only, no
version number, so that it is the same whichever registry is used. Run by `dvc repro`, or alone:
python -m stages.register
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
