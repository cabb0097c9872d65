"""W&B's side: which registry answers, and what one asks of it. Knows nothing of DVC."""
