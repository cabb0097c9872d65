"""The documentation names everything that a user can touch, and nothing that isn't there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from functools import cache

import pytest
import yaml

from dvc_wandb.project.packages import package_locks
from tests import working_tree
from tests.working_tree import BIN, ROOT

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = {name: (ROOT / name).read_text() for name in working_tree.files("*.md") if "/templates/" not in name}
DOCS = "\n".join(PAGES.values())
SOURCES = {
    name: (ROOT / name).read_text()
    for name in working_tree.files("dvc_wandb", "wandb_registry", "stages", "examples", "params.yaml", "dvc.yaml")
    if not name.endswith((".png", ".svg"))
}
TARGETS = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, flags=re.MULTILINE)) | set(
    re.findall(r"^STAGES := (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split()
)
OF_WANDB = "tests/system_tests"  # a folder of W&B's own repository
ADDED = {"stages.explain", "stages/explain.py"}  # what docs/adding-a-stage.md adds
COMMANDS = ("dvc-wandb", "wandb-registry")
# Variables that our code sets or passes on to the SDK; a user sets none of them for our sake
INTERNAL = {"WANDB_RESUME", "WANDB_RUN_ID", "WANDB_SILENT"}
VARIABLES = set(re.findall(r'"((?:REGISTRY|WANDB)_[A-Z_]+)"', "\n".join(SOURCES.values()))) - INTERNAL


@cache
def help_of(*command: str) -> str:
    name, *rest = command
    return subprocess.run([BIN / name, *rest, "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def subcommands(command: str) -> set[str]:
    """What may follow `dvc-wandb` or `wandb-registry`."""
    return set(re.findall(r"^    ([a-z-]+)(?:  |$)", help_of(command).partition("commands:")[2], flags=re.MULTILINE))


def uses(command: str) -> set[tuple[str, str]]:
    """Each subcommand with the rest of its line, wherever the documentation or a message names one."""
    found = re.findall(rf"{command} ([a-z][a-z-]*)([^`#'\"\n]*)", "\n".join([DOCS, MAKEFILE, *SOURCES.values()]))
    return {(name, rest) for name, rest in found if name != "and"}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_is_in_the_readme(target: str):
    assert re.search(rf"\bmake {target}\b", README)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_names_no_target_that_is_not_there(page: str):
    assert set(re.findall(r"(?:`|\$ |&& |and `)make ([a-z]+)", PAGES[page])) <= TARGETS


def test_the_variables_that_are_looked_for_are_found():
    assert {"REGISTRY_DIR", "REGISTRY_IDLE_SECONDS", "WANDB_BASE_URL", "WANDB_MODE"} <= VARIABLES


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_environment_variable_is_in_the_readme(name: str):
    assert name in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documentation(command: str):
    assert subcommands(command) == {name for name in subcommands(command) if re.search(rf"{command} {name}\b", DOCS)}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_page_and_no_message_names_a_command_or_an_option_that_is_not_there(command: str):
    assert {name for name, _ in uses(command)} <= subcommands(command)
    for name, rest in uses(command):
        action = re.match(r" (add-member|rm-member|add|rm|list|key|link)\b", rest)
        known = help_of(command, name, *(action.groups() if action else ()))
        assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= set(re.findall(r"--[a-z-]+", known)), f"{name}{rest}"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_file_and_module_that_a_page_names_is_there(page: str):
    text, folder = PAGES[page], (ROOT / page).parent
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (folder / link).exists(), link
    for module in re.findall(r"python -m ((?:stages|benchmarks|docs|dvc_wandb|wandb_registry)[\w.]*)", text):
        assert "NAME" in module or module in ADDED or importlib.util.find_spec(module), module
    for path in re.findall(r"`((?:stages|tests|dvc_wandb|wandb_registry|benchmarks|examples|docs)/[\w./-]+)", text):
        assert "NAME" in path or path in {OF_WANDB, *ADDED} or (ROOT / path).exists(), path


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_that_types_commands_says_first_how_to_have_them(page: str):
    """They are in .venv, which no shell has on its path by itself."""
    typed = re.search(rf"^    \$ (?:dvc (?!repro$)|{'|'.join(COMMANDS)})", PAGES[page], flags=re.MULTILINE)
    ready = re.search(r"source \.venv/bin/activate|pip install git\+", PAGES[page])
    assert typed is None or (ready and ready.start() < typed.start())


@pytest.mark.parametrize("package", ["dvc_wandb", "wandb_registry"])
def test_the_design_shows_every_folder_of_a_package(package: str):
    tree = PAGES["DESIGN.md"].partition(f"## {package}")[2].partition("\n## ")[0]
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert set(re.findall(r"^    (\w+)/ ", tree, flags=re.MULTILINE)) == folders


def test_no_placeholder_is_left():
    assert "@@" not in DOCS


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


def test_pylock_toml_holds_the_packages_of_requirements_txt_with_hashes():
    pins = package_locks.pins(ROOT / "pylock.toml")
    assert {one.name: one.version for one in pins} == package_locks.read(ROOT / "requirements.txt")
    assert all(any(found.startswith("sha256:") for found in one.hashes) for one in pins)


def test_the_md5s_that_the_readme_shows_are_those_of_the_committed_lock():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    made = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}
    shown = dict(re.findall(r"(\S+) +([0-9a-f]{32}(?:\.dir)?) ", README))
    assert shown == made


def test_a_library_among_the_pages_scripts_has_its_licence_beside_it():
    static = ROOT / "wandb_registry/web/static"
    ours = {"charts.js", "drawings.js", "plots.js", "registry.css", "registry.js", "registry.svg", "sweep.js"}
    libraries = {path.name for path in static.iterdir()} - ours
    assert libraries == {path.parent.name for path in static.glob("*/LICENSE.txt")}


def test_an_extra_that_is_named_is_one_of_ours():
    named = set(re.findall(r"dvc-wandb\[([\w-]+)\]", "\n".join([DOCS, *SOURCES.values()])))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert named == project["optional-dependencies"].keys()
