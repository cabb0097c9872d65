"""Decides which model is in production, and writes it to the record in git.

decisions.py carries out a decision of the gate or of a person. choices.py makes a record of a person's options,
stage_run.py runs the promoting stage, dry_run.py says what would happen. The registry's alias follows the commit.
"""
