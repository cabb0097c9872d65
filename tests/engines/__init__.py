"""Real engines that tests start: PostgreSQL, S3 stores, nginx, a provider of OpenID Connect."""
