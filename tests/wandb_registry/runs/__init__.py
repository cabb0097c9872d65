"""Runs: started, logged, synced, searched, swept."""
