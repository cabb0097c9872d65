"""Runs: what they send while they go on, and what is read back."""
