"""The registry down, refusing or dying: the stages finish all the same, and `dvc-wandb mirror` makes it up."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import wandb
import yaml

from dvc_wandb.recorder.session import RECONNECT_AFTER
from tests.conftest import Clone, account, eventually
from tests.hanging import Hanging
from tests.working_tree import take_interrupts
from wandb_registry import daemon

pytestmark = pytest.mark.slow

NOBODY = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "k" * 40}


@pytest.mark.soak
def test_without_a_registry_and_on_one_core_the_lock_is_the_same_and_is_mirrored_later(clone: Clone):
    keras = {
        "KERAS_MAX_EPOCHS": "1",
        "KERAS_MAX_STEPS_PER_EPOCH": "2",
    }  # the model was one that had hardly been trained
    done = clone.run("dvc", "repro", under=("taskset", "-c", "0"), env={**NOBODY, **keras})
    assert done.ran[:2] == ["prepare", "train"]
    for stage in done.ran:
        lines = [line for line in done.text.splitlines() if line.startswith(f"{stage}: not mirrored")]
        assert len(lines) == 1
        assert "http://127.0.0.1:9" in lines[0]
        assert "`dvc-wandb mirror`" in lines[0]
    assert clone.git("status", "--porcelain") == ""

    refused = clone.run("dvc-wandb", "mirror", ok=False, env=NOBODY)
    assert refused.code == 1
    assert "Traceback" not in refused.text
    assert (
        clone.run("make", "repro", "--assume-old=.venv/installed", "--assume-old=packages.yaml", env=NOBODY).ran == []
    )

    made_up = clone.run("dvc-wandb", "mirror").text
    assert "not there" not in made_up
    assert "mirroring train" in made_up
    assert "mirroring" not in clone.run("dvc-wandb", "mirror").text
    rows = clone.run("python", "-c", "import wandb; print(*wandb.Api().run('model-registry-dev/' + "
                     "next(r.id for r in wandb.Api().runs('model-registry-dev') if r.job_type == 'train_model'))"
                     ".history(keys=['epoch/accuracy'], pandas=False))", env=account(clone)).text  # fmt: skip
    assert rows.count("epoch/accuracy") == 5


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"WANDB_API_KEY": "wrong" * 9}, "refuses the API key"),
        pytest.param({"WANDB_API_KEY": ""}, "no API key", marks=pytest.mark.soak),
        ({"WANDB_MODE": "offline"}, "WANDB_MODE is offline"),
        pytest.param({"WANDB_MODE": "disabled"}, "WANDB_MODE is disabled", marks=pytest.mark.soak),
        (NOBODY, "doesn't answer"),
        pytest.param({"WANDB_BASE_URL": "nonsense"}, "check WANDB_BASE_URL", marks=pytest.mark.soak),
        # "1 validation error for Settings"
        pytest.param({"WANDB_INIT_TIMEOUT": "soon"}, "WANDB_INIT_TIMEOUT, which is 'soon'", marks=pytest.mark.soak),
        ({"WANDB_ENTITY": "nobody"}, "no run can be opened in nobody/"),
    ],
    ids=["wrong key", "no key", "offline", "disabled", "closed port", "no address", "no number", "no such entity"],
)
def test_a_registry_that_is_away_costs_one_line_and_never_asks(pipeline: Clone, env: dict[str, str], reason: str):
    done = pipeline.run("python", "-m", "stages.register", env={**account(pipeline), **env})
    lines = done.text.splitlines()
    assert len([line for line in lines if "not mirrored" in line and reason in line]) == 1
    assert "Traceback" not in done.text
    assert pipeline.git("status", "--porcelain") == ""
    mirrored = pipeline.run("dvc-wandb", "mirror", "--lenient", env={**account(pipeline), **env})
    assert "Traceback" not in mirrored.text


@pytest.mark.soak
def test_a_registry_that_never_answers_is_asked_once_and_not_by_each_stage(pipeline: Clone):
    with socket.create_server(("127.0.0.1", 0), backlog=50) as mute:
        away = {**NOBODY, "WANDB_BASE_URL": f"http://127.0.0.1:{mute.getsockname()[1]}"}
        began = time.monotonic()
        done = pipeline.run("dvc", "repro", "--force", env=away)
        took = time.monotonic() - began
        mute.setblocking(False)
        calls = []
        with contextlib.suppress(BlockingIOError):
            while True:
                calls.append(mute.accept())
        assert len(re.findall(r"not mirrored: .* doesn't answer within", done.text)) == 5
        assert len(calls) <= 1 + took / RECONNECT_AFTER
        for call, _ in calls:
            call.close()


@pytest.mark.parametrize("answered", [5, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 3, 8, 20))])
def test_a_registry_that_hangs_while_a_stage_is_mirrored_costs_seconds(pipeline: Clone, answered: int):
    """The stage waited for more than two minutes, as long as the SDK asked again."""
    there = account(pipeline)
    between = Hanging(there["WANDB_BASE_URL"], answered)
    done = pipeline.run("python", "-m", "stages.register", env={**there, "WANDB_BASE_URL": between.url})
    assert between.silent_seconds() < 50
    assert len(re.findall(r"^register: not mirrored: .* doesn't answer within .*-wandb mirror`", done.text, re.M)) == 1
    assert "Traceback" not in done.text
    assert eventually(lambda: not list(pipeline.path.glob(".dvc/tmp/*recorder-*")))
    assert not list(pipeline.path.glob(".dvc/tmp/dvc-wandb-tmp-*"))
    assert pipeline.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("words", "answered", "says"),
    [
        (
            ("promote", "--from", "registry"),
            2,
            r"doesn't answer within 5 seconds\. Nothing was changed; run this again",
        ),
        *(
            pytest.param(words, answered, says, marks=pytest.mark.soak)
            for words, answered, says in (
                (("history", "MNIST-dev"), 2, r"Told by git alone: .* doesn't answer within 5 seconds"),
                (("get", "MNIST-dev:v0", "-o", "model.h5"), 1, r"only the registry knows what 'v0' is"),
                (("promote", "--dry"), 1, r"Nothing was changed; run this again"),
                (("promote",), 2, r"has the decision; the registry was not told: .* `dvc-wandb promote` tells it"),
                (("promote",), 9, r"has the decision; the registry was not told: .* `dvc-wandb promote` tells it"),
            )
        ),
    ],
)
def test_a_registry_that_hangs_while_production_is_asked_for_costs_seconds(
    pipeline: Clone, words: tuple[str, ...], answered: int, says: str
):
    """A minute or more, and 'the service process is busy and did not respond in time'."""
    there = account(pipeline)
    between = Hanging(there["WANDB_BASE_URL"], answered)
    done = pipeline.run("dvc-wandb", *words, ok=False, env={**there, "WANDB_BASE_URL": between.url})
    assert between.silent_seconds() < 50
    assert re.search(says, done.text), done.text
    assert "Traceback" not in done.text
    assert pipeline.git("status", "--porcelain") == ""


def heard_until(training: subprocess.Popen[str], words: str) -> str:
    """What a training has said when it says these words."""
    assert training.stdout is not None
    said = ""
    while words not in said:
        line = training.stdout.readline()
        assert line, said
        said += line
    return said


@pytest.mark.soak
def test_an_interrupted_training_leaves_its_earlier_outputs_and_says_so_in_a_line(pipeline: Clone):
    training = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", "train"],
        cwd=pipeline.path,
        env={**pipeline.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=take_interrupts,
    )
    said = heard_until(training, "epoch 1/5")
    os.killpg(training.pid, signal.SIGINT)
    said += training.communicate()[0]
    assert training.wait() != 0
    assert "train: interrupted" in said
    assert "Traceback" not in said
    assert pipeline.git("status", "--porcelain") == ""
    assert "up to date" in pipeline.run("dvc", "status").text


@pytest.mark.soak
def test_a_training_survives_its_registry(pipeline: Clone, api: wandb.Api):
    before = {run.id for run in api.runs("model-registry-dev", filters={"job_type": "train_model"})}
    server = daemon.ensure(pipeline.path / ".registry")
    training = subprocess.Popen(
        ["python", "-m", "stages.train"],
        cwd=pipeline.path,
        env={**pipeline.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    said = heard_until(training, "epoch 1/5")
    os.kill(server.pid, signal.SIGKILL)
    said += training.communicate()[0]
    assert training.wait() == 0, said
    assert pipeline.git("status", "--porcelain") == ""

    md5 = yaml.safe_load(pipeline.read("dvc.lock"))["stages"]["train"]["outs"][0]["md5"]
    pipeline.run("dvc-wandb", "mirror")
    after = wandb.Api().runs("model-registry-dev", filters={"job_type": "train_model"})
    (new,) = [run for run in after if run.id not in before]
    deadline = time.monotonic() + 120
    while new.state == "running" and time.monotonic() < deadline:
        time.sleep(1)
        new.load(force=True)
    assert new.state == "finished"
    assert len([row for row in new.scan_history() if "epoch/accuracy" in row]) == 5
    assert any(f"dvc-{md5}" in one.aliases for one in new.logged_artifacts())
