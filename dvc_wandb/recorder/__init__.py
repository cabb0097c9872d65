"""Mirrors stages in W&B while DVC runs the next one: one process, the recorder, beside each `dvc repro`.

tracked_run.py is what a stage script uses, client.py its connection to the recorder. __main__.py is the recorder's
process, session.py what it keeps between stages, stage_run.py what it does for one stage. One thread makes all calls of
the SDK, in the order in which stages begin and end. Only the last stage waits for them: when it returns, the registry
has all outputs.
"""
