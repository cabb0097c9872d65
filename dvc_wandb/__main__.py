"""`python -m dvc_wandb`, the same as the command `dvc-wandb`."""

import sys

from dvc_wandb.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
