"""The commands of `dvc-wandb`, a module each: `add_parser` says what it takes, `run` does it.

`run` returns the exit status; what a user can cause it raises as a DvcWandbError, which ends in one sentence.
"""
