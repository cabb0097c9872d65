"""Who may do what: users, teams, keys, sign-in, approvals, and the log of it."""
