"""Link the model to its registered model: `links` in dvc.yaml, when tracked_run ends. The receipt names its bytes."""

import json

from dvc_wandb import tracked_run

with tracked_run("register") as run:
    target = run.params_in("params.yaml")["registered_model"]
    receipt = {"registered_model": target, "model_md5": run.md5("model.joblib")}
    run.out("registered.json").write_text(json.dumps(receipt, indent=2) + "\n")
