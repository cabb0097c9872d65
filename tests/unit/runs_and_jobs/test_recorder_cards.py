"""What is read from the cards of recorders, in .dvc/tmp."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import psutil
import pytest

from dvc_wandb.recorder import client

HERE = client.Machine.here().processes
PID_SPACE = HERE.partition("/")[2]


def card(root: Path, host: str, processes: str) -> Path:
    """A card with the id of this process, as of a machine."""
    path = root / ".dvc/tmp/recorder-abcdef-1.json"
    path.parent.mkdir(parents=True)
    machine = {"host": host, "processes": processes, "network": ""}
    since = psutil.Process().create_time() if processes == HERE else 0.0
    path.write_text(json.dumps({"port": 1, "key": "00", "pid": os.getpid(), "since": since, "machine": machine}))
    return path


def test_what_was_before_the_machine_started_anew_is_gone(tmp_path: Path):
    path = card(tmp_path, platform.node(), f"another-boot/{PID_SPACE}")
    assert client.recorders_elsewhere(tmp_path) == []
    assert not client.is_running(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("host", "processes"),
    [("elsewhere", f"another-boot/{PID_SPACE}"), (platform.node(), f"{HERE.partition('/')[0]}/pid:[1]")],
    ids=["another machine", "another container of this one"],
)
def test_a_recorder_elsewhere_is_told_and_left_alone(tmp_path: Path, host: str, processes: str):
    path = card(tmp_path, host, processes)
    assert not client.is_running(path)
    (sentence,) = client.recorders_elsewhere(tmp_path)
    assert f"on the machine {host} too" in sentence
    assert path.exists()


def test_one_of_this_machine_is_known_by_its_process(tmp_path: Path):
    assert client.is_running(card(tmp_path, platform.node(), HERE))
    assert client.recorders_elsewhere(tmp_path) == []
