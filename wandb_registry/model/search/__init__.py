"""Searches: the filters and orders of W&B's public API as SQL, and the lists that pages show."""
