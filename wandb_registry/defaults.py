"""Names that the registry gives on its own: the ground floor, which the server's start and its model both stand on."""

TEAM = "local"  # the team entity that runs go to, unless they name another
