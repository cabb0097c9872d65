"""DVC's side: a project's stages, locks and files, at any commit. Knows nothing of W&B."""
