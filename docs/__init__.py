"""The documentation, and the generators of those parts of it that come from the code."""
