"""A back-end that is a folder on somebody else's SFTP server, laid out as one of this machine."""

from pathlib import Path

from adapters.backends.folders import FolderBackend
from adapters.transport.sftp.sftp import SftpFiles
from gateway.config.connections import SftpBackendSettings


class SftpBackend(FolderBackend):
    """Nothing is made there but what is the gateway's own (`sent`, `in/done`). There are as many log-ins as
    submissions are on their way, and one for answers."""

    def __init__(self, settings: SftpBackendSettings, key_file: Path, spool: Path) -> None:
        handing = [SftpFiles(settings, key_file) for _ in range(settings.at_once)]
        hearing = SftpFiles(settings, key_file)
        self.renewals = tuple(each.renewal for each in (*handing, hearing))
        super().__init__(handing, hearing, settings.dxp, spool)
