"""Requests that the association has answered are known by their agreement's number, as the answer has it.

Without it a request counts as a repetition for ever, also once its agreement came to nothing.
"""

import sqlalchemy as sa
from alembic import op
from lxml import etree

from gateway.formats import xml
from gateway.model.faults import MessageRejected

revision = "0013"
down_revision = "0012"

_ANSWERED = sa.text(
    "SELECT request.seq AS seq, answer.body AS body FROM messages AS request"
    " JOIN messages AS answer ON answer.linked = request.id AND answer.kind = 'answer'"
    " WHERE request.type = 'ImportAgrRequest' AND request.seq_no IS NULL AND answer.body IS NOT NULL"
    " ORDER BY answer.seq"
)
_KNOWN = sa.text("UPDATE messages SET seq_no = :number WHERE seq = :seq")


def upgrade() -> None:
    connection = op.get_bind()
    for seq, body in connection.execute(_ANSWERED).all():
        if number := _number(bytes(body)):
            connection.execute(_KNOWN, {"seq": seq, "number": number})


def _number(answer: bytes) -> str:
    """The number in an answer; empty where it has none."""
    try:
        root = xml.parse(answer)
    except MessageRejected:
        return ""
    if etree.QName(root).localname != "ImportAgrResponse":
        return ""
    return (root.findtext("ConsignNo") or "").strip()[:32]
