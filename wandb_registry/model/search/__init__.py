"""Filters and orders in the words of W&B's public API, and what the first pages list."""
