"""Real engines that run stages elsewhere, started by the tests; `make test-cluster` runs them."""
