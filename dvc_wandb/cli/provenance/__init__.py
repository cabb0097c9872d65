"""What proves where a model comes from: signed, checked, and the packages locked. A file a command, as above."""
