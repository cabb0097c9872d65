"""The walkthrough without Keras, in words that every SDK since 0.17 knows. Prints what it found as one JSON object.

Run by test_older_clients.py in a virtual environment of its own.
"""

# pyright: basic, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import json
import os
from pathlib import Path

import numpy as np
import wandb

PROJECT = os.environ["TEST_PROJECT"]
REGISTERED = f"model-registry/{PROJECT}"

# Build a dataset artifact that holds a table with pictures
run = wandb.init(project=PROJECT, job_type="build_dataset")
pixels = np.arange(5 * 4 * 4, dtype="uint8").reshape(5, 4, 4)
table = wandb.Table(data=[], columns=[])
table.add_column("x_train", pixels)
table.add_column("y_train", np.arange(5))
table.add_computed_columns(lambda index, row: {"img": wandb.Image(row["x_train"])})
dataset = wandb.Artifact("digits", type="dataset")
dataset.add(table, "train_table")
dataset.save()
run.finish()

# Train on it, and register what comes out
run = wandb.init(project=PROJECT, job_type="train_model", config={"lr": 0.1})
used = run.use_artifact("digits:latest").get("train_table")
for step in range(3):
    run.log({"loss": 1 / (step + 1)})
Path("model.h5").write_text("weights")
run.link_model(path="model.h5", registered_model_name=PROJECT, name="model")
trained = run.id
run.finish()

# Evaluate it
run = wandb.init(project=PROJECT, job_type="evaluate_model")
weights = Path(run.use_model(name="model:latest")).read_text()
run.log({"accuracy": 0.9})
run.finish()

# Promote it
chosen = wandb.Api().artifact(f"{REGISTERED}:v0")
chosen.aliases.append("production")
chosen.save()

api = wandb.Api()
found = api.run(f"{PROJECT}/{trained}")
print(
    json.dumps(
        {
            "version": wandb.__version__,
            "rows": [row[1] for row in used.data],
            "weights": weights,
            "production": api.artifact(f"{REGISTERED}:production").version,
            "aliases": [sorted(version.aliases) for version in api.artifacts("model", REGISTERED)],
            "run": [found.state, dict(found.config), found.summary["loss"]],
            "losses": [row["loss"] for row in found.scan_history(keys=["loss"])],
            "history": len(found.history(pandas=False)),
            "used": [artifact.name for artifact in found.used_artifacts()],
            "logged": [artifact.type for artifact in found.logged_artifacts()],
            "used_by": len(chosen.used_by()),
            "jobs": [run.job_type for run in api.runs(PROJECT, order="+created_at")],
            "files": "config.yaml" in {file.name for file in found.files()},
        }
    )
)
