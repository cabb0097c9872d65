"""Runs: their records, the history that they stream, and their files."""
