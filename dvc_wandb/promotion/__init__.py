"""Who decides what goes to production: the gate, or a person; and what a decision would do."""
