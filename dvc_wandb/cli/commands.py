"""All commands of dvc-wandb: their parser, and a sentence for what people can cause."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys

from dvc_wandb import interrupts
from dvc_wandb.errors import DvcWandbError, ProjectError, RegistryUnavailableError, error_reason, is_sdk_error
from dvc_wandb.project.settings import project_root
from dvc_wandb.recorder import client

# The commands of each module beneath this folder, in the order of --help. Only the module of the one that is typed is
# imported: all of them take longer than some commands do
COMMANDS = {
    "init": ["init"],
    "repro": ["repro"],
    "mirror": ["mirror"],
    "verify": ["verify"],
    "show": ["show"],
    "why": ["why"],
    "report": ["report"],
    "reproduce": ["reproduce"],
    "promote": ["promote", "rollback"],
    "approve": ["approve", "reject", "withdraw"],
    "push": ["push"],
    "get": ["get"],
    "history": ["history"],
    "provenance.attest": ["attest"],
    "provenance.check": ["check"],
    "provenance.card": ["card"],
    "provenance.openlineage": ["openlineage"],
    "provenance.lock": ["lock"],
}


def run() -> int:
    """Run the command of `sys.argv`; its exit status. Raises KeyboardInterrupt."""
    return _run(_parser(*sys.argv[1:2]).parse_args())


def _run(arguments: argparse.Namespace) -> int:
    """The command's exit status, after a sentence for what people can cause."""
    try:
        with contextlib.suppress(ProjectError):  # the command says so, where it needs one
            for sentence in client.recorders_elsewhere(project_root()):
                print(f"dvc-wandb: {sentence}", file=sys.stderr)
            client.wait_until_idle(project_root())
        code = arguments.command(arguments)
        interrupts.check()
        return code
    except RegistryUnavailableError as error:
        print(
            f"dvc-wandb: not mirrored: {error_reason(error)}. DVC has it all; run this again when it is back.",
            file=sys.stderr,
        )
        return 0 if getattr(arguments, "lenient", False) else 1
    except DvcWandbError as error:
        print(f"dvc-wandb: {error}", file=sys.stderr)
    except BrokenPipeError:  # such as `| head`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a file or folder that the machine refuses: a full disk, a HOME that is none
        print(f"dvc-wandb: {error_reason(error)}.", file=sys.stderr)
    except Exception as error:
        if not is_sdk_error(error):
            raise
        print(f"dvc-wandb: {error_reason(error)}.", file=sys.stderr)
    return 1


def _parser(command: str = "") -> argparse.ArgumentParser:
    """The parser of one command, or of all where `command` is none of them."""
    parser = argparse.ArgumentParser(
        prog="dvc-wandb",
        description="Keeps dvc.lock and the W&B registry one. The registry is the embedded one, or that of "
        "WANDB_BASE_URL and WANDB_API_KEY where one of them is set.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    modules = [module for module, names in COMMANDS.items() if command in names] or COMMANDS
    for module in modules:
        importlib.import_module(f"dvc_wandb.cli.{module}").add_parser(commands)
    return parser
