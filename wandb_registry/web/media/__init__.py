"""Media that a run has logged, and what pages show of them."""
