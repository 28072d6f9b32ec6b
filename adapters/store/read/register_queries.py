"""Queries for related messages: the declaration that later documents name, and PDFs that wait for theirs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select

from adapters.store.rows import ARRIVAL
from adapters.store.tables.messages import IN_WAIT, deliveries, messages
from gateway.model.file_names import SUFFIX
from gateway.model.message import (
    ATTACHMENT,
    Arrival,
    ChainLink,
    DeclarationRecord,
    Operation,
    Part,
    Pdf,
    Received,
    SeparateAttachment,
)
from gateway.model.states import CustomsStatus, State
from gateway.model.waits import Awaited

_PDF: Final = TypeAdapter(Pdf)
# The facts that name a party of a declaration.
_PARTIES: Final = (
    *("agent_code", "agent_scc", "keying_code", "keying_scc"),
    *("trader_code", "trader_scc", "owner_code", "owner_scc"),
)
_NUMBERS: Final = ("reference", "seq_no", "entry_id")

_DECLARED: Final = (
    select(
        messages.c.id,
        messages.c.reference,
        messages.c.seq_no,
        messages.c.entry_id,
        deliveries.c.destination,
        deliveries.c.about,
        messages.c.customs_status,
        messages.c.facts,
    )
    .join(deliveries, (deliveries.c.message == messages.c.id) & (deliveries.c.key == messages.c.id))
    .where(messages.c.kind == "inbound", messages.c.operation != Operation.INFORM)
    .order_by(messages.c.seq.desc())
    .limit(1)
)
# A number of customs names one declaration; a reference is the party's own.
DECLARATION_BY: Final = {
    "entry_id": _DECLARED.where(messages.c.entry_id == bindparam("number")),
    "seq_no": _DECLARED.where(messages.c.seq_no == bindparam("number")),
    "reference": _DECLARED.where(
        messages.c.reference == bindparam("number"), messages.c.party == bindparam("party")
    ),
}
_PDFS: Final = select(
    *ARRIVAL,
    messages.c.link_sequence,
    messages.c.link_digest,
    messages.c.facts,
).where(messages.c.type == ATTACHMENT)
# Searched by what they wait for: many messages may have been sent with a name like `invoice.pdf`.
SEPARATE_ATTACHMENTS: Final = _PDFS.where(
    IN_WAIT, messages.c.spelt.in_((bindparam("spelling"), bindparam("other_spelling")))
)
# Those that were joined to a message which is now judged once more.
JOINED: Final = _PDFS.where(messages.c.linked == bindparam("message_id"), messages.c.state == State.CLOSED)


def spelt_names(party: str, name: str) -> tuple[str, str]:
    """The names of awaited things to search for separately sent PDFs when a document lists this name, with or
    without its suffix."""
    named = (Awaited.declaration(party, spelling) for spelling in (name, name + SUFFIX))
    one, other = (awaited.spelling or "" for awaited in named)
    return one, other


def declared_of(row: Sequence[Any], numbers: Mapping[str, str]) -> DeclarationRecord | None:
    """The record of a row of one of `DECLARATION_BY`; None if its number differs from the one given."""
    id_, reference, seq_no, entry_id, destination, about, customs_status, facts = row
    own = dict(zip(_NUMBERS, (reference, seq_no, entry_id), strict=True))
    if any(own[name] != value for name, value in numbers.items()):
        return None
    return DeclarationRecord(
        id=id_,
        about=about or id_,
        reference=reference,
        entry_id=entry_id or "",
        destination=destination,
        customs_status=CustomsStatus(customs_status),
        parties=frozenset(facts[name] for name in _PARTIES if name in facts),
        facts=facts,
    )


def separate_attachment_of(row: Sequence[Any]) -> SeparateAttachment:
    """The attachment of a row of `LOOSE`: the facts of such a message are what was found in its PDF."""
    id_, account, channel, name, sha256, size, received_at, sequence, digest, facts = row
    arrival = Arrival(
        id=id_,
        account=account,
        channel=channel,
        name=name,
        sha256=sha256,
        size=size,
        received_at=received_at,
    )
    link = ChainLink(sequence=sequence, digest=digest)
    pdf = _PDF.validate_python(facts)
    return SeparateAttachment(
        message=Received(arrival=arrival, link=link),
        part=Part(name=name, sha256=sha256, size=size, pdf=pdf),
    )
