"""The pipeline's own stages."""
