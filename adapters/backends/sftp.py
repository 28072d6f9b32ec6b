"""A back-end that is a folder on another party's SFTP server, with the same layout as on this machine."""

from pathlib import Path

from adapters.backends.folders import FolderBackend
from adapters.transport.sftp.sftp import SftpFiles
from gateway.config.connections import SftpBackendSettings


class SftpBackend(FolderBackend):
    """Creates nothing there but the gateway's own folders (`sent`, `in/done`). There is one log-in for each
    concurrent submission, and one for answers."""

    def __init__(self, settings: SftpBackendSettings, key_file: Path, spool: Path) -> None:
        handing = [SftpFiles(settings, key_file) for _ in range(settings.at_once)]
        hearing = SftpFiles(settings, key_file)
        self.renewals = tuple(each.renewal for each in (*handing, hearing))
        super().__init__(handing, hearing, settings.dxp, spool)
