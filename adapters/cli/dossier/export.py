"""A dossier as one zip: its parts, and an index signed by the gateway."""

import errno
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from gateway.dossier.index import Export, build_index
from gateway.formats.zip_member import opened_part
from gateway.model.dossier import INDEX_NAME, Dossier, Recorded, Stored
from gateway.model.signers import Signer

_CHUNK: Final = 64 * 1024


def export_to(
    file: Path,
    dossier: Dossier,
    export: Export,
    signer: Signer,
    opened: Callable[[str], IO[bytes]],
    body: Callable[[Recorded], bytes],
) -> None:
    """Writes the zip in constant memory. `opened` opens stored bytes by SHA-256, `body` returns a row's.

    Every part is compared with its digest. Raises `OSError` if a part is damaged or missing, or if the file
    cannot be written or exists already; then nothing is left behind.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except (
        OSError
    ) as error:  # name the folder; the name of the unfinished file would mean nothing to the user
        raise OSError(error.errno, error.strerror, str(file.parent)) from None
    try:
        with os.fdopen(descriptor, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_described(INDEX_NAME, dossier), signer.sign(build_index(dossier, export)))
            for leaf in dossier.leaves:
                with (
                    _open(leaf.source, opened, body) as part,
                    archive.open(_described(leaf.path, dossier, leaf.size), "w") as target,
                ):
                    digest = hashlib.sha256()
                    while chunk := part.read(_CHUNK):
                        digest.update(chunk)
                        target.write(chunk)
                if digest.hexdigest() != leaf.sha256:
                    raise OSError(errno.EIO, "a part is damaged", leaf.path)
        # A link, because a rename would replace an existing file.
        os.link(name, file)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _described(path: str, dossier: Dossier, size: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, dossier.at.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100444 << 16
    info.file_size = size  # known beforehand, so that only what is over 2 GB becomes zip64
    return info


def _open(
    source: Stored | Recorded, opened: Callable[[str], IO[bytes]], body: Callable[[Recorded], bytes]
) -> IO[bytes]:
    try:
        return io.BytesIO(body(source)) if isinstance(source, Recorded) else opened_part(source, opened)
    except KeyError as gone:
        raise OSError(errno.ENOENT, "a part is not in the store any more", str(gone.args[0])) from None
