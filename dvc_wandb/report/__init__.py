"""What a person reads: the lineage drawn as text and SVG, reports, and why an output changed."""
