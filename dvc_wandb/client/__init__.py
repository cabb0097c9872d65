"""W&B's side: finds the registry and queries it. Knows nothing of DVC."""
