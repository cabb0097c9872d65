"""The model in production: the record in git, and the registry's alias that follows it.

record.py is the record (production.json), restoring.py how to restore it, promoting_stage.py the stage that writes it,
decision.py what that stage decided. registry_state.py reads the registry, alias.py moves its alias `production`.
history.py tells which model was in production when.
"""

from dvc_wandb.production.record import GATE, PERSON, Record, parse, read, read_facts, write, write_facts

__all__ = ["GATE", "PERSON", "Record", "parse", "read", "read_facts", "write", "write_facts"]
