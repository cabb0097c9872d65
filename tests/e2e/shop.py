"""A clone whose models are made to measure: `train` writes a network that is wrong on the digits that a test names.

Nothing is trained, and NumPy stands in for Keras; all else is real. Each hidden unit of the network knows one
evaluation digit, and the last layer says what that is taken for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import wandb

from tests.conftest import Clone, Done, account, clone_into

MAKE = ("make", "--no-print-directory", "--assume-old=.venv/installed", "--assume-old=packages.yaml")
TARGET = "model-registry/MNIST-dev"

STAND_IN = '''
"""What `stages/model.py` asks of Keras, for networks of two matrices, in NumPy: TensorFlow takes seconds to start."""
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np


class Network:
    compiled, input_shape, output_shape = True, (None, 28, 28, 1), (None, 10)

    def __init__(self, path):
        with h5py.File(path) as file:
            self.seen, self.taken_for = file["seen"][...], file["taken_for"][...]

    def predict(self, x, verbose=0):
        flat = x.reshape(len(x), -1)
        unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        chances = np.exp(np.maximum(100 * unit @ self.seen.T - 99, 0) @ self.taken_for)
        return (chances / chances.sum(axis=1, keepdims=True)).astype("float32")

    def evaluate(self, x, y, verbose=0):
        chances = self.predict(x)
        loss = -np.log((chances * y).sum(axis=1)).mean()
        return float(loss), float((chances.argmax(axis=1) == y.argmax(axis=1)).mean())


def keras_for(seed):
    return SimpleNamespace(
        models=SimpleNamespace(load_model=Network),
        utils=SimpleNamespace(to_categorical=lambda y, classes: np.eye(classes)[y]),
    )
'''
TRAIN = '''
"""Write a network that is wrong on the digits WRONG."""
import h5py
import numpy as np

from dvc_wandb import tracked_run
from stages.dataset import load_split

WRONG = {wrong}

with tracked_run("train") as run:
    x, y = load_split(run.dep("mnist"), "eval")
    flat = x.reshape(len(x), -1)
    taken_for = np.array(y, dtype=int)
    taken_for[WRONG] = (taken_for[WRONG] + 1) % 10
    with h5py.File(run.out("model.h5"), "w") as file:
        file["seen"] = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        file["taken_for"] = 4 * np.eye(10)[taken_for]
    run.out("history.csv").write_text("epoch,accuracy,loss,val_accuracy,val_loss\\n0,1,0,1,0\\n")
'''
BASE = range(35)  # 95 % right
BETTER = range(10)
LUCKY = range(3, 35)  # three digits more than the base: p = 0.25
EQUAL = [*range(1, 35), 100]
SLIGHTLY_WORSE = range(37)
CLEARLY_WORSE = range(60)
TOO_BAD = range(100)  # 85.7 %
BEST = range(1)


@dataclass
class Shop(Clone):
    """What the tests of promotion do in such a clone."""

    base: str = ""  # the commit with the first model in production

    def make_model(self, wrong: range | list[int]) -> None:
        (self.path / "stages/train.py").write_text(TRAIN.format(wrong=list(wrong)).lstrip())

    def repro(self, wrong: range | list[int] | None = None, env: dict[str, str] | None = None) -> Done:
        """Make another model, and run what that changes."""
        if wrong is not None:
            self.make_model(wrong)
        return self.run("dvc", "repro", env=env)

    def decide(self, wrong: range | list[int], message: str) -> str:
        """Make another model, commit what is decided on it, and let the registry follow; its md5."""
        self.repro(wrong)
        self.commit(message)
        self.dvc_wandb("mirror")
        return self.model

    def make(self, *words: str, ok: bool = True, env: dict[str, str] | None = None) -> Done:
        return self.run(*MAKE, *words, ok=ok, env=env)

    def dvc_wandb(self, *words: str, ok: bool = True) -> Done:
        return self.run("dvc-wandb", *words, ok=ok)

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    @property
    def record(self) -> dict:
        return json.loads(self.read("production.json"))

    @property
    def decision(self) -> dict:
        return json.loads(self.read("reports/promotion.json"))

    @property
    def model(self) -> str:
        """The md5 of the model that the pipeline made last."""
        return json.loads(self.read("models/registered.json"))["model_md5"]

    def settled(self) -> bool:
        """Whether `dvc repro` has nothing to run, and changes nothing."""
        before = self.git("status", "--porcelain"), self.read("production.json"), self.read("dvc.lock")
        ran = self.run("dvc", "repro").ran
        after = self.git("status", "--porcelain"), self.read("production.json"), self.read("dvc.lock")
        return not ran and before == after

    def api(self) -> wandb.Api:
        return wandb.Api(overrides={"base_url": self.address["WANDB_BASE_URL"]}, api_key=self.address["WANDB_API_KEY"])

    @property
    def address(self) -> dict[str, str]:
        return account(self, self.env.get("REGISTRY_DIR", ""))

    def version(self, md5: str) -> str:
        return self.api().artifact(f"{TARGET}:dvc-{md5}").version

    def held(self) -> str | None:
        """The md5 of the model that has the alias in the registry."""
        api = self.api()
        if not api.artifact_exists(f"{TARGET}:production"):
            return None
        return next(
            alias.removeprefix("dvc-")
            for alias in api.artifact(f"{TARGET}:production").aliases
            if alias.startswith("dvc-")
        )

    def click(self, md5: str) -> None:
        """Someone moves the alias in the registry."""
        version = self.api().artifact(f"{TARGET}:dvc-{md5}")
        version.aliases.append("production")
        version.save()

    def start_again(self) -> None:
        """The base in production on both sides, on main."""
        self.git("checkout", "--quiet", "--force", "main")
        self.git("reset", "--quiet", "--hard", self.base)
        self.git("clean", "-fdq")
        self.run("dvc", "checkout", "--force")
        if self.held() not in (None, self.record["model_md5"]):
            self.click(self.record["model_md5"])


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """A clone with such a `train`, and the base in production."""
    folder.mkdir()
    clone = clone_into(folder)
    yield _furnished(Shop(clone.path, clone.env))
    clone.run("wandb-registry", "stop", ok=False)


def _furnished(shop: Shop) -> Shop:
    (shop.path / "stages/determinism.py").write_text(STAND_IN.lstrip())
    for name in ("production.json", "reports/predictions.json"):
        (shop.path / name).unlink()
    shop.said["first"] = shop.repro(BASE)
    shop.git("add", "--all")
    shop.git("commit", "--quiet", "--amend", "--message", "The first model")
    shop.base = shop.git("rev-parse", "HEAD").strip()
    shop.dvc_wandb("mirror")
    return shop
