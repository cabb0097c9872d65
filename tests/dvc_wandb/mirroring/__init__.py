"""Stages that run and what is mirrored of them."""
