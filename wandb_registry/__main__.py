"""`python -m wandb_registry`, the same as the command `wandb-registry`."""

import sys

from wandb_registry.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
