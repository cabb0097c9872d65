"""The commands of `dvc-wandb`: each comes from the module that the table names, and from that alone."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

import pytest

from dvc_wandb.cli.commands import COMMANDS


@pytest.mark.parametrize("module", COMMANDS)
def test_a_module_has_the_commands_that_the_table_names(module: str):
    commands = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"dvc_wandb.cli.{module}").add_parser(commands)
    assert list(commands.choices) == COMMANDS[module]


def test_a_command_loads_no_other_one():
    words = "import sys; from dvc_wandb.cli import commands; commands._parser('show'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout.split()
    assert "dvc_wandb.cli.show" in loaded
    assert "dvc_wandb.cli.approve" not in loaded
