"""Recorders and parallel stages."""
