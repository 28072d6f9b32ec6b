"""Message families: `schemas/<family>/<version>/` holds XSDs, rules, code lists and `profile.toml`."""
