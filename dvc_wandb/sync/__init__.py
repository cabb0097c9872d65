"""Both sides: compares dvc.lock with the registry, logs what the registry lacks, proves the two equal."""
