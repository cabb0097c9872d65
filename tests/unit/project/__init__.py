"""DVC's side: locks, names, packages, imports."""
