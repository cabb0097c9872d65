"""Which model is in production: decided, approved, signed."""
