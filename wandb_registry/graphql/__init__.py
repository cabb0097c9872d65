"""GraphQL: turns the SDK's documents into calls of the model, and rows into responses. No SQL and no rules here."""
