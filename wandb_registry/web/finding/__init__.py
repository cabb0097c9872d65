"""Finds runs: the conditions of an address, views that are saved under a name, executions of a pipeline as rows."""
