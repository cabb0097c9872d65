"""Collections, versions, aliases, manifests, links and lineage."""
