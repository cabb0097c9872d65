"""Users and their keys, teams, organizations, members."""
