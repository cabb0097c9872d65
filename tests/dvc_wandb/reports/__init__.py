"""What a person reads, and what others take in."""
