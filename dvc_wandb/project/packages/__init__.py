"""The packages that stages run with: their versions by a lock file, and which of them a stage imports."""
