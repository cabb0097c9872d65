"""What a person reads or checks."""
