"""A back-end that is a folder of this machine (docs/for-operators.md, "Customs in a process of its own")."""

from pathlib import Path

from adapters.backends.exchange import Exchange
from adapters.backends.folders import FolderBackend
from adapters.transport.files.local import LocalFiles
from gateway.config.connections import DxpSettings


class DirectoryBackend(FolderBackend):
    """Creates the folder and its subfolders if they do not exist."""

    def __init__(self, folder: Path, dxp: DxpSettings | None = None, at_once: int = 1) -> None:
        if not folder.exists():
            Exchange(folder).make()
        super().__init__([LocalFiles(folder) for _ in range(at_once)], LocalFiles(folder), dxp, folder)
