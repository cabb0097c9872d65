"""Both sides: compares dvc.lock with the registry, logs what is missing there, proves the two equal."""
