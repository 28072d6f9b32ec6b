"""Figures of the gateway, each beside a limit that is measured in the same run: `python -m bench [NAME]`."""
