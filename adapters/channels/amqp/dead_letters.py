"""What is published about a refused message: a copy with the reason, and a notice to its sender."""

import json
from typing import Final
from uuid import uuid4

import aio_pika
from aio_pika import DeliveryMode
from aio_pika.abc import HeadersType

from adapters.transport.amqp.consuming import ReceivedMessage
from gateway.model.faults import Finding
from gateway.model.message import Reply

APP: Final = "customs-edi-gateway"


def reasons(finding: Finding) -> HeadersType:
    return {"x-reason": finding.code, "x-reason-en": finding.en, "x-reason-zh": finding.zh}


def dead_letter(message: ReceivedMessage, finding: Finding) -> aio_pika.Message:
    """The original message with the reason. Its `user_id` becomes a header: in that property the broker would
    accept only our own."""
    headers = {name: value for name, value in message.headers.items() if not name.startswith("x-")}
    return aio_pika.Message(
        message.body,
        headers={
            **headers,
            **reasons(finding),
            "x-routing-key": message.routing_key or "",
            "x-user": message.user_id or "",
        },
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        delivery_mode=DeliveryMode.PERSISTENT,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        message_id=message.message_id or None,
        type=message.type,
        timestamp=message.timestamp,
    )


def _short(text: str) -> str:
    """The text cut to the length that AMQP allows: bytes that were not UTF-8 have become longer."""
    return text.encode()[:255].decode(errors="ignore")


def notice(reply: Reply, finding: Finding) -> aio_pika.Message:
    content = {"code": finding.code, "zh": finding.zh, "en": finding.en, "message_id": reply.message_id}
    return aio_pika.Message(
        json.dumps(content, ensure_ascii=False).encode(),
        headers=reasons(finding),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        correlation_id=_short(reply.correlation) or None,
        message_id=f"refused-{uuid4()}",
        type="refused",
        app_id=APP,
    )
