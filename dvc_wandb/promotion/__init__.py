"""Changes of what is in production: first git's record, through the stage that writes it, then the registry's alias.

decisions.py carries out what the gate or a person decides, choices.py says what a person's words mean, agreement.py
makes the registry agree with the record, stage_run.py runs the stage, dry_run.py says what would happen.
"""
