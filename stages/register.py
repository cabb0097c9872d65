"""Register the model: link its version to the registered model, and write a receipt of its bytes.

    models/model.h5 ──▶ register ──▶ models/registered.json

The link is made by `tracked_run`, when its block ends: dvc.yaml says `links: {models/model.h5: "${registered_model}"}`.
So `dvc-wandb mirror` can make it again without running the stage. The receipt holds no version number: it is the same
with any registry.

Run by `dvc repro`, or alone: python -m stages.register
"""

from __future__ import annotations

import json
import re

from dvc_wandb import tracked_run
from stages.params import Rule, checked

RULES = {
    "registered_model": Rule(
        "REGISTRY/NAME of letters, digits, _ . and -, such as model-registry/MNIST-dev",
        lambda value: isinstance(value, str) and re.fullmatch(r"[\w.-]{1,128}/[\w.-]{1,128}", value, re.A) is not None,
    ),
}


def main() -> None:
    with tracked_run("register") as run:
        params = checked(run, RULES)
        receipt = {
            "registered_model": params["registered_model"],
            "model_md5": run.md5("model.h5"),
            "model_bytes": run.dep("model.h5").stat().st_size,
        }
        run.out("registered.json").write_text(json.dumps(receipt, indent=2) + "\n")
        # Here the block ends, the outputs are logged, and the version of model.h5 is linked


if __name__ == "__main__":
    main()
