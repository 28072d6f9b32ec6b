"""The bytes of a submission for a connection: its zip, in a DXP envelope if the settings require one.

Every back-end that is reached over a connection writes what it sends with `write_body`, and passes what it
receives through `opened_answer`.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from gateway.config.connections import DxpSettings
from gateway.formats.dxp import unwrapped, write_submission
from gateway.formats.submission import write_zip
from gateway.model.answer import Answer
from gateway.model.message import Submission


def write_body(
    submission: Submission,
    opened: Callable[[str], IO[bytes]],
    out: IO[bytes],
    dxp: DxpSettings | None,
    folder: Path,
) -> None:
    """Writes what `submission.write_zip` writes, in constant memory; with `dxp`, in its envelope, and the zip
    is then in an unnamed file in `folder` during the call. The same input gives the same bytes."""
    if dxp is None:
        write_zip(submission, opened, out)
        return
    with TemporaryFile(dir=folder) as packed:
        write_zip(submission, opened, packed)
        packed.seek(0)
        write_submission(submission, packed, out, dxp)


def opened_answer(answer: Answer, dxp: DxpSettings | None) -> Answer:
    """The received answer, without its envelope if the connection uses them."""
    return answer if dxp is None else unwrapped(answer)
