"""The rules of runs, artifacts, collections and accounts. Knows the database and nothing of HTTP or GraphQL."""
