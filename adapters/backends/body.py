"""The bytes of a submission as a connection carries them: its zip, in an envelope of DXP where that is asked.

Every back-end that is reached over a connection writes what it sends by `write_body`, and gives what it hears
through `opened_answer`.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from gateway.config.connections import DxpSettings
from gateway.formats.dxp import unwrapped, write_submission
from gateway.formats.submission import write_zip
from gateway.model.message import Submission
from gateway.model.ports import Answer


def write_body(
    submission: Submission,
    opened: Callable[[str], IO[bytes]],
    out: IO[bytes],
    dxp: DxpSettings | None,
    folder: Path,
) -> None:
    """Writes what `submission.write_zip` writes, in constant memory; with `dxp` in its envelope, and then the
    zip stands in `folder` for the time of the call, under no name. The same input gives the same bytes."""
    if dxp is None:
        write_zip(submission, opened, out)
        return
    with TemporaryFile(dir=folder) as packed:
        write_zip(submission, opened, packed)
        packed.seek(0)
        write_submission(submission, packed, out, dxp)


def opened_answer(answer: Answer, dxp: DxpSettings | None) -> Answer:
    """The answer that came, out of its envelope where the connection has them."""
    return answer if dxp is None else unwrapped(answer)
