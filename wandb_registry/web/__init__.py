"""Pages for browsers. They read the model, as GraphQL does, and obey the same access rules."""
