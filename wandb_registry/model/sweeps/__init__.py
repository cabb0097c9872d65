"""Sweeps and the parameters that they search."""
