"""Fills a registry through the real SDK: a model in three versions, its data, its evaluations, and hostile text.

Run by conftest.py with WANDB_BASE_URL and WANDB_API_KEY set.
"""

# Written as people write it, without types:
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false

import base64
import json
import os
import urllib.request

import numpy as np
import wandb

PROJECT = "vision"
EVIL = "<img src=x onerror=alert(1)>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
HTML = "<!doctype html><script>alert(3)</script><h1>uploaded</h1>"
LONG = "a-name-that-goes-on-" * 6


def log_data(version: int) -> None:
    with wandb.init(project=PROJECT, job_type="build_dataset", name=f"data-{version}") as run:
        data = wandb.Artifact("digits", "dataset", description="Digits to train on", metadata={"rows": 100 + version})
        for name, text in (
            ("labels.csv", "id,label\n" + "".join(f"{n},{n % 10}\n" for n in range(300))),
            ("kept.txt", "k"),
        ):
            with data.new_file(name) as file:
                file.write(text + ("!" * version if name == "labels.csv" else ""))
        with data.new_file(f"only-in-{version}.txt") as file:
            file.write(str(version))
        for number in range(60):
            with data.new_file(f"media/images/{number:03}.txt") as file:
                file.write(f"{version} {number}")
        run.log_artifact(data).wait()


def train(version: int) -> None:
    config = {"train": {"epochs": 5 + version, "batch_size": 128}, "seed": 7}
    with wandb.init(project=PROJECT, job_type="train_model", name=f"train-{version}", config=config) as run:
        run.use_artifact(f"digits:v{min(version, 1)}")
        for epoch in range(2):
            run.log({"accuracy": 0.5, "loss": 1.0 / (epoch + version + 1)})
        model = wandb.Artifact("net", "model", metadata={"layers": 4 + version, "optimizer": "adam"})
        with model.new_file("model.h5") as file:
            file.write(f"weights {version}" * 50)
        linked = run.log_artifact(model).wait()
        run.link_artifact(linked, "model-registry/MNIST-dev")
    with wandb.init(project=PROJECT, job_type="evaluate_model", name=f"evaluate-{version}") as run:
        run.use_artifact(f"net:v{version}")
        run.log({"accuracy": 0.91 + version / 100, "loss": 0.3 - version / 100})


def hostile() -> None:
    """What would like to be more than text, in every field that takes text."""
    with wandb.init(
        project="hostile", job_type=EVIL, name=EVIL, group=EVIL, notes=EVIL, tags=["tag"], config={EVIL: EVIL}
    ) as run:
        print(EVIL, "</ol><script>alert(4)</script>")
        run.log({EVIL: 1.5, "text": EVIL})
        artifact = wandb.Artifact("hostile", "model", description=EVIL, metadata={EVIL: {EVIL: [EVIL]}, "dvc": EVIL})
        for name, text in (("page.html", HTML), ("picture.svg", SVG), ("cells.csv", f"{EVIL},b\n{EVIL},2\n")):
            with artifact.new_file(name) as file:
                file.write(text)
        with artifact.new_file(f"{EVIL}.txt") as file:
            file.write(EVIL)
        with artifact.new_file("not-a-picture.png") as file:
            file.write(SVG)
        logged = run.log_artifact(artifact, aliases=["latest", EVIL]).wait()
        run.link_artifact(logged, "model-registry/Hostile", aliases=[EVIL])
        long = wandb.Artifact(LONG, "dataset", description=LONG * 3, metadata={LONG: LONG * 3})
        with long.new_file(f"{LONG}.txt") as file:
            file.write(LONG * 20)
        run.log_artifact(long, aliases=[LONG[:120]]).wait()


def odd() -> None:
    """Values and files at the edge of what there can be."""
    deep: dict = {"end": 1}
    for _ in range(60):
        deep = {"deeper": deep}
    with wandb.init(project="odd", job_type="odd") as run:
        for version in range(2):
            odd = wandb.Artifact(
                "odd", "model", metadata={"deep": deep, "huge": 10**400, "none": None, "list": [1, [2]]}
            )
            files = {"empty.txt": "", "returns.csv": "a\rb,c\r", "broken.json": "{", "no-cells.csv": "\n\n"}
            files |= {"many.txt": f"{version}\n" * 4000, "version.txt": str(version)}
            for name, text in files.items():
                with odd.new_file(name) as file:
                    file.write(text)
            odd.add_reference("https://elsewhere.example/file", "reference", checksum=False)
            run.log_artifact(odd, aliases=["latest", f"dvc-{version}{'a' * 31}"]).wait()
        differ = wandb.Image(np.zeros((28, 28), np.uint8))
        run.log({"champion": f"0{'a' * 31}", "candidate": f"1{'a' * 31}", "p_value": 0.25, "differ": differ})
        run.log({"huge": 10**400, "nan": float("nan"), "infinite": float("inf"), "nothing": None})


def ask(query: str, **variables: object) -> dict:
    """A request that the SDK would not make."""
    key = base64.b64encode(f"api:{os.environ['WANDB_API_KEY']}".encode()).decode()
    request = urllib.request.Request(
        f"{os.environ['WANDB_BASE_URL']}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found = json.load(answer)
    assert not found.get("errors"), found
    return found["data"]


def rename_hostile() -> None:
    """Gives the registered model a name that the SDK refuses and the server must bear."""
    found = ask(
        'query { project(name: "model-registry", entityName: "local") { artifactCollection(name: "Hostile") { id } } }'
    )
    ask(
        "mutation R($id: ID!, $name: String!) { updateArtifactPortfolio("
        "input: {artifactPortfolioID: $id, name: $name}) { artifactCollection { id } } }",
        id=found["project"]["artifactCollection"]["id"],
        name=EVIL,
    )


def fill() -> None:
    for number in range(2):
        log_data(number)
    for number in range(3):
        train(number)
    chosen = wandb.Api().artifact("model-registry/MNIST-dev:v1")
    chosen.aliases.append("production")
    chosen.tags = ["keras"]
    chosen.save()
    hostile()
    rename_hostile()
    odd()


if __name__ == "__main__":
    fill()
