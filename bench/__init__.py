"""Benchmarks of the gateway, each beside a limit measured in the same run: `python -m bench [NAME]`."""
