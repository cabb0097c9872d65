"""Versions, collections, registered models: uploaded, found, kept."""
