"""Whether the files of a home say what its running node runs by."""

from adapters.home import Home
from adapters.named_files import file_digests
from adapters.stores.database import sqlite_engine
from adapters.stores.in_force import noted


def differing(home: Home) -> str:
    """What is different, in a sentence; empty where nothing is, or no node runs. Raises `BadSettings` for
    files that cannot be read, and `OSError`."""
    if home.served_by() is None:
        return ""
    engine = sqlite_engine(home.database, read_only=True)
    with engine.connect() as reader:
        runs_by = noted(reader)
    engine.dispose()
    if runs_by is None:
        return ""
    said = home.in_force()
    shown, _secret = file_digests(home, said.settings)
    now = said.digests | shown
    names = sorted(name for name in now if runs_by.digests.get(name, now[name]) != now[name])
    if not names:
        return ""
    ways = []
    if names != ["gateway.toml"]:
        ways.append("gateway reload takes them")
    if "gateway.toml" in names:
        ways.append("gateway.toml takes a restart")
    since = runs_by.at.isoformat(timespec="seconds")
    return f"differing from what the node runs by since {since}: {', '.join(names)} ({'; '.join(ways)})"
