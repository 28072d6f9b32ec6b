"""What `gateway init` copies into a new home."""
