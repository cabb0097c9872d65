"""The command `dvc-wandb`. Handles Ctrl-C from its first moment: the commands take a second to import."""

from __future__ import annotations

import sys

from dvc_wandb import interrupts

INTERRUPTED = 130  # as a shell has it: 128 and the number of the signal


def main() -> int:
    """Run the command of `sys.argv`; its exit status."""
    interrupts.install_handler()
    try:
        from dvc_wandb.cli import commands

        code = commands.run()
    except KeyboardInterrupt:
        print("dvc-wandb: interrupted; run it again to go on where it stopped.", file=sys.stderr)
        code = INTERRUPTED
    finally:
        interrupts.leave()
    from dvc_wandb.client import timeouts

    return timeouts.exit_code(code)


if __name__ == "__main__":
    sys.exit(main())
