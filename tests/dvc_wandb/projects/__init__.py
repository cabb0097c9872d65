"""Somebody else's DVC projects: what stands in their files, in git and in their remotes."""
