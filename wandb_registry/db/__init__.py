"""The database: its schema, its connections, nothing of what the records mean."""
