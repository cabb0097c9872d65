"""What is in production: the record in git, the registry's alias that follows it, who decides, and what was before.

record.py is the record (production.json), registry_state.py what the registry knows, alias.py keeps the alias
`production` where the record has it, promoting_stage.py is the stage that writes the record, decision.py what it
decided, history.py tells what was in production from when to when.
"""

from dvc_wandb.production.record import GATE, PERSON, Record, parse, read, read_facts, write, write_facts

__all__ = ["GATE", "PERSON", "Record", "parse", "read", "read_facts", "write", "write_facts"]
