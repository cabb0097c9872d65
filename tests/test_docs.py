"""The README names everything that a user can touch, and nothing that isn't there."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.working_tree import ROOT

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, flags=re.MULTILINE)) | set(
    re.findall(r"^STAGES := (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split()
)
VARIABLES = ["WANDB_BASE_URL", "WANDB_API_KEY", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_MODE", "REGISTRY_DIR"]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_is_in_the_readme(target: str):
    assert re.search(rf"\bmake {target}\b", README)


def test_the_readme_names_no_target_that_is_not_there():
    assert set(re.findall(r"(?:`|\$ |and `)make ([a-z]+)", README)) <= TARGETS


@pytest.mark.parametrize("name", [*VARIABLES, "REGISTRY_IDLE_SECONDS"])
def test_every_environment_variable_is_in_the_readme(name: str):
    assert name in README


def test_no_placeholder_is_left():
    assert "@@" not in README


def test_every_parameter_has_a_comment():
    text = (ROOT / "params.yaml").read_text()
    for line in text.splitlines():
        if re.match(r"\s*\w+: ", line):
            assert "#" in line, f"params.yaml: no comment on {line.strip()}"
    assert yaml.safe_load(text)


def test_packages_yaml_holds_the_versions_of_requirements_txt():
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE))
    named = yaml.safe_load((ROOT / "packages.yaml").read_text())
    assert named == {name: locked[name] for name in named}


@pytest.mark.parametrize("command", ["dvc-wandb", "wandb-registry"])
def test_help_of_every_command_is_there(command: str):
    done = subprocess.run([command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in re.findall(rf"{command} ([a-z]+)", README):
        assert name in done.stdout


def test_the_md5s_that_the_readme_shows_are_those_of_the_committed_lock():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    made = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}
    shown = dict(re.findall(r"(\S+) +([0-9a-f]{32}(?:\.dir)?) ", README))
    assert shown == made
