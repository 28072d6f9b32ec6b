"""A back-end that is a folder on somebody else's SFTP server, laid out as one of this machine."""

from pathlib import Path

from adapters.backends.folders import FolderBackend
from adapters.files.sftp import SftpFiles
from gateway.connections import SftpBackendSettings


class SftpBackend(FolderBackend):
    """Nothing is made there but what is the gateway's own (`sent`, `in/done`)."""

    def __init__(self, settings: SftpBackendSettings, key_file: Path, spool: Path) -> None:
        handing, hearing = SftpFiles(settings, key_file), SftpFiles(settings, key_file)
        self.renewals = (handing.renewal, hearing.renewal)
        super().__init__(handing, hearing, settings.dxp, spool)
