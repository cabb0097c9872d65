"""Runs GraphQL requests: plans, bindings, limits, pages. Knows no type of the schema."""
