"""Mirrors stages in W&B while DVC goes on with the next one: a process beside each `dvc repro`.

line.py is a stage's way to it, __main__.py the process, recording.py what it does for one stage. The SDK's calls are
made one after the other in one thread, in the order in which stages began and ended. A stage needn't wait for them,
save the last one: when it returns, all that the stages made is in the registry.
"""
