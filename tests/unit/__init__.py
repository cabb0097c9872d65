"""Pure logic, in this process: no server, no repository, no network. `pytest tests/unit` takes seconds."""
