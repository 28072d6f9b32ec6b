"""What clients that write under another name ask for, from their first look to their last request."""

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import paramiko

Steps = Callable[[paramiko.SFTPClient, str, bytes], None]
_AT: Final = (1, 1)


def _is_there(client: paramiko.SFTPClient, path: str) -> bool:
    with suppress(FileNotFoundError):
        client.stat(path)
        return True
    return False


def rclone(client: paramiko.SFTPClient, name: str, body: bytes) -> None:
    """`copy`, as since 1.63: `NAME.RANDOM.partial`, times, a rename that replaces, a look at the size."""
    partial = f"/OutBox/{name}.6f1c2b3a.partial"
    assert client.normalize(".") == "/"
    assert _is_there(client, "/OutBox")
    client.listdir_attr("/OutBox")
    assert not _is_there(client, f"/OutBox/{name}")
    client.putfo(io.BytesIO(body), partial, confirm=False)
    client.utime(partial, _AT)
    assert client.stat(partial).st_size == len(body)
    client.posix_rename(partial, f"/OutBox/{name}")
    assert client.stat(f"/OutBox/{name}").st_size == len(body)


def rsync(client: paramiko.SFTPClient, name: str, body: bytes) -> None:
    """As onto a mounted folder (sshfs): `.NAME.RANDOM`, made exclusively, rights and times, a rename."""
    partial = f"/OutBox/.{name}.XyZ987"
    assert not _is_there(client, f"/OutBox/{name}")
    with client.open(partial, "wx") as file:
        file.chmod(0o600)
        file.write(body)
    client.utime(partial, _AT)
    client.chmod(partial, 0o644)
    client.posix_rename(partial, f"/OutBox/{name}")
    client.listdir_attr("/OutBox")


def nifi(client: paramiko.SFTPClient, name: str, body: bytes) -> None:
    """PutSFTP with a dot rename: a look for one in the way, `.NAME`, times, a rename."""
    client.chdir("/OutBox")
    assert not _is_there(client, name)
    client.putfo(io.BytesIO(body), f".{name}")
    client.utime(f".{name}", _AT)
    client.chmod(f".{name}", 0o644)
    client.rename(f".{name}", name)
    client.chdir(None)


def spring(client: paramiko.SFTPClient, name: str, body: bytes) -> None:
    """Spring Integration's outbound adapter: `NAME.writing`, a rename."""
    assert _is_there(client, "/OutBox")
    assert not _is_there(client, f"/OutBox/{name}")
    client.putfo(io.BytesIO(body), f"/OutBox/{name}.writing", confirm=False)
    client.rename(f"/OutBox/{name}.writing", f"/OutBox/{name}")


def winscp(client: paramiko.SFTPClient, name: str, body: bytes) -> None:
    client.listdir_attr("/OutBox")
    client.putfo(io.BytesIO(body), f"/OutBox/{name}.filepart")
    client.rename(f"/OutBox/{name}.filepart", f"/OutBox/{name}")
    client.utime(f"/OutBox/{name}", _AT)


def unusual_name(client: paramiko.SFTPClient, name: str, body: bytes) -> None:
    """Its names are on no list, so that each is taken at its close."""
    client.putfo(io.BytesIO(body), f"/OutBox/{name}-7f3e")
    client.rename(f"/OutBox/{name}-7f3e", f"/OutBox/{name}")
    assert client.stat(f"/OutBox/{name}").st_size == len(body)
    client.utime(f"/OutBox/{name}", _AT)


LISTED: Final = (rclone, rsync, nifi, spring, winscp)
