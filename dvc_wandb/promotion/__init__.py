"""Decisions on what is in production: written to git's record, through the stage that keeps it.

decisions.py carries out what the gate or a person decides, choices.py says what a person's words mean, stage_run.py
runs the stage, dry_run.py says what would happen. The registry's alias follows what is committed then.
"""
