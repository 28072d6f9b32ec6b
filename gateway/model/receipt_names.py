"""Names of receipts, as the import client names them (docs/for-brokers.md, "Receipts")."""

import re
from datetime import datetime
from typing import Final

from gateway.model.china import CHINA

_LONGEST_NAME: Final = 255  # bytes; the limit of most file systems, and of the SFTP tree
# Not in names on Windows (learn.microsoft.com, "Naming Files, Paths, and Namespaces"). Devices (CON, NUL)
# are no matter: there is a prefix in front.
_NOWHERE: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_EXTENSION: Final = re.compile(r"\.(zip|xml)$", re.IGNORECASE)


def receipt_name(prefix: str, file_name: str, at: datetime) -> str:
    """`<prefix>_<base>_<time>.xml` as the import client names them: the base is the sent file's
    name without .zip or .xml, the time China's in 21 digits, yyyyMMddHHmmss and seven of a fraction. A long
    base is cut and what Windows takes in no name becomes `_`, so that the whole is a file name anywhere."""
    base = _NOWHERE.sub("_", _EXTENSION.sub("", file_name)).encode()[
        : _LONGEST_NAME - len(prefix) - len("__.xml") - 21
    ]
    time = f"{at.astimezone(CHINA):%Y%m%d%H%M%S%f}0"
    return f"{prefix}_{base.decode(errors='ignore')}_{time}.xml"
