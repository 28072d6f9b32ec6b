"""Reads a submission that came over a connection, for a simulated back-end, and writes answers to it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from adapters.sandbox.customs.notices import import_response
from adapters.sandbox.inspection import SubmissionRefused, scratch
from gateway.config.connections import DxpSettings
from gateway.formats import dxp
from gateway.model.answer import Answer
from gateway.model.faults import MessageRejected, printable


@contextmanager
def unwrapped(key: str, packed: IO[bytes], folder: Path) -> Iterator[IO[bytes]]:
    """The zip of a submission in a seekable stream, where it is bare or in a DXP envelope. A large one is
    copied to `folder` while the context is open. Raises `SubmissionRefused`."""
    with scratch(folder) as inside:
        yield _bare(key, packed, inside)


def _bare(key: str, packed: IO[bytes], inside: IO[bytes]) -> IO[bytes]:
    start = packed.read(1)
    packed.seek(0)
    if start != b"<":  # only a DXP envelope begins so
        return packed
    try:
        head = dxp.read(packed, inside)
    except MessageRejected as trouble:
        raise SubmissionRefused.by(trouble) from trouble
    if head.id != key:
        raise SubmissionRefused(f"the envelope of DXP is that of another message: {printable(head.id)}")
    inside.seek(0)
    return inside


def told_body(answer: Answer, settings: DxpSettings | None) -> bytes:
    """The body of an answer, in a DXP envelope if there are `settings`."""
    if settings is None:
        return answer.body
    head = dxp.Head(
        id=answer.id,
        sender=settings.sender,
        receivers=(settings.receiver,),
        type=settings.message_type,
        name=answer.name,
        keys={dxp.ANSWERS: answer.key} if answer.key else {},
    )
    out = io.BytesIO()
    dxp.write(head, datetime.now(UTC), io.BytesIO(answer.body), out)
    return out.getvalue()


def refusal(key: str, reference: str, reason: str) -> tuple[str, bytes]:
    """Name and body of the technical answer that nothing was imported."""
    body = import_response(code=1, error=reason, client_reference=reference, seq_no="", transit_no="")
    return f"Failed_{key}.xml", body
