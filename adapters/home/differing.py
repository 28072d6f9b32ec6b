"""Whether the files of a home are those by which its running node works."""

from adapters.home.home import Home
from adapters.home.named_files import file_digests
from adapters.store.write.in_force import noted
from gateway.model.china import moment_zh
from gateway.model.waits import Words, joined


def differing(home: Home) -> Words | None:
    """The differences, as a sentence; None if there are none, or no node runs. Raises `BadSettings` for files
    that cannot be read, and `OSError`."""
    if home.served_by() is None:
        return None
    with home.reading() as reader:
        runs_by = noted(reader)
    if runs_by is None:
        return None
    in_force = home.in_force()
    shown, _secret = file_digests(home, in_force.settings)
    now = in_force.digests | shown
    names = sorted(name for name in now if runs_by.digests.get(name, now[name]) != now[name])
    if not names:
        return None
    remedies = []
    if names != ["gateway.toml"]:
        remedies.append(Words("用 gateway reload 启用", "gateway reload takes them"))
    if "gateway.toml" in names:
        remedies.append(Words("gateway.toml 须重启后启用", "gateway.toml takes a restart"))
    remedy = joined(remedies) or Words("", "")
    since = runs_by.at.isoformat(timespec="seconds")
    return Words(
        f"{'、'.join(names)} 与网关自{moment_zh(runs_by.at)}起所用的不同（{remedy.zh}）",
        f"differing from what the node runs by since {since}: {', '.join(names)} ({remedy.en})",
    )
