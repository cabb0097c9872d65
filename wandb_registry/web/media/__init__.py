"""Pictures, sounds, films and tables: what pages show of files that a run logged, and by which names they know them."""
