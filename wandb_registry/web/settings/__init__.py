"""The settings: accounts, keys, teams, service accounts and protected aliases, as far as the viewer may see them."""
