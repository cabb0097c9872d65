"""Pages for people. They read the model as GraphQL does, and obey the same access rules."""
