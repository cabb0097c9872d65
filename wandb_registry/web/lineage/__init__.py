"""The pages of lineage: what a version, a run or a project comes from and what came of it, as a graph and as a list."""
