"""A W&B-compatible server for one machine: runs, artifacts, lineage and registered models in one folder."""
