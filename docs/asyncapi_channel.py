"""The part of the AsyncAPI document that is about the AMQP channel: platforms on the other side."""

from typing import Final

from adapters.channels.amqp.dead_letters import APP
from adapters.channels.amqp.reply_queues import queue_of
from adapters.channels.amqp.topology import DEAD, IN, RECEIPTS
from adapters.channels.amqp.validation import CLAIM, DIRECT_REPLY
from docs.asyncapi_parts import (
    Json,
    document,
    exchange,
    message,
    queue,
    received,
    reference,
    schema,
    sent,
    text,
)
from gateway.config.connections import AmqpSettings
from gateway.model.faults import Fault
from gateway.model.message import ReceiptKind
from gateway.model.trace_context import TRACEPARENT

_XML: Final = "application/xml"
_ZIP: Final = "application/zip"
_SENT: Final = ("document", "package", "claim")
_BACK: Final = ("receipt", "refusal")
_AGAIN: Final = AmqpSettings.model_fields["delivery_limit"].default
_LARGEST: Final = AmqpSettings.model_fields["largest"].default


def refusals() -> dict[str, str]:
    """Reasons for refusing a message before it is accepted, by code."""
    return {each.code: each.en for each in Fault if each.code.startswith(("amqp-", "claim-"))}


def channels() -> Json:
    return {
        "in": exchange(IN, "topic", "#", "Declarations; any routing key, as all of them are taken.", _SENT),
        "receipts": {
            **exchange(
                RECEIPTS,
                "direct",
                "{account}",
                "Receipts of an account that names no queue of its own in `reply_to`; "
                f"behind it the gateway makes a queue {queue_of('<account>')} for each.",
                _BACK,
            ),
            "parameters": {"account": {"description": "the account, which is the log-in at the broker"}},
        },
        "replies": {
            "address": "{queue}",
            "description": "The queue that a message names in `reply_to`, where it is the sender's own.",
            "parameters": {"queue": {"description": f"<account>.… or {DIRECT_REPLY}"}},
            "messages": {name: reference("components", "messages", name) for name in _BACK},
        },
        "dead": queue(
            DEAD,
            "For operators: messages that were refused, with their reason, and those that came more than "
            f"`amqp.delivery_limit` times ({_AGAIN}) without one. "
            "A fanout exchange of the same name stands before the queue.",
            ["dead-letter"],
        ),
    }


def operations() -> Json:
    reply = {
        "address": {"location": "$message.header#/reply_to"},
        "channel": reference("channels", "replies"),
        "messages": [reference("channels", "replies", "messages", name) for name in _BACK],
    }
    return {
        "take": received("in", _SENT, "Acknowledged when it is durable here, and not before.", reply=reply),
        "receipt": sent("receipts", _BACK, "Until the broker has confirmed it."),
        "put-aside": sent("dead", ["dead-letter"], "Before the message is acknowledged."),
    }


def messages() -> Json:
    name = text("File name; without it one is made of the message id.", maxLength=255)
    trace = {TRACEPARENT: text("The trace that it is part of (W3C Trace Context); ours is linked to it.")}
    reason = {
        "x-reason": text("Code of the refusal.", enum=list(refusals())),
        "x-reason-en": text("The same in English."),
        "x-reason-zh": text("The same in Chinese."),
    }
    claim = schema(
        ["file", "size", "sha256"],
        file=text("An upload of the same account over SFTP, under an unfinished name, closed."),
        size={"type": "integer", "minimum": 1},
        sha256=text("In hex, lower case.", pattern="^[0-9a-f]{64}$"),
    )
    return {
        "document": message(
            "A message as a bare XML document.",
            _XML,
            document(f"At most {_LARGEST} bytes unless agreed otherwise (`amqp.largest`)."),
            _properties(_XML),
            schema([], name=name, **trace),
        ),
        "package": message(
            "A zip of one XML document and its PDF files.",
            _ZIP,
            document(f"At most {_LARGEST} bytes unless agreed otherwise (`amqp.largest`)."),
            _properties(_ZIP),
            schema([], name=name, **trace),
        ),
        "claim": message(
            "A package that is too large for the broker and was uploaded over SFTP.",
            CLAIM,
            claim,
            _properties(CLAIM),
            schema([], **trace),
        ),
        "receipt": message(
            "The gateway's signed receipt, customs' answer, a notice or a request.",
            _XML,
            document("The XML of the receipt, as it lies in an InBox."),
            _answering(type=text("What it is.", enum=[each.value for each in ReceiptKind])),
            schema(
                ["message", "reference", "verdict", "final", "name"],
                message=text("The gateway's id of the message that it is for."),
                reference=text("The reference of the declaration."),
                verdict=text("Of a gateway receipt: pending, accepted or rejected."),
                final={"type": "boolean", "description": "Set on the one final gateway receipt."},
                name=text("The name that it would have in an InBox."),
            ),
        ),
        "refusal": message(
            "A message was not taken: nothing of it is stored, and no receipt follows.",
            "application/json",
            schema(
                ["code", "zh", "en", "message_id"],
                code=text("Code of the refusal.", enum=list(refusals())),
                zh=text("In Chinese."),
                en=text("In English."),
                message_id=text("That of the message."),
            ),
            _answering(type=text("What it is.", const="refused")),
            schema(list(reason), **reason),
        ),
        "dead-letter": message(
            "A message as it came.",
            "*/*",
            document("As it came."),
            schema([]),
            schema(
                [],
                **reason,
                **{
                    "x-user": text("The `user_id` that it had."),
                    "x-routing-key": text("The routing key that it had."),
                },
            ),
        ),
    }


def _properties(content_type: str) -> Json:
    return schema(
        ["user_id", "message_id", "content_type"],
        user_id=text("The log-in, which is the account; the broker checks it."),
        message_id=text("The sender's own.", minLength=1, maxLength=255),
        content_type=text("What the body is.", const=content_type),
        correlation_id=text("Comes back on every receipt; without it the message id does."),
        reply_to=text(
            f"Where receipts are to go: {DIRECT_REPLY}, or a queue whose name begins with the account and a "
            "dot. Another is not used."
        ),
        delivery_mode={"type": "integer", "const": 2, "description": "Persistent."},
    )


def _answering(**more: Json) -> Json:
    return schema(
        ["message_id"],
        message_id=text("The same where it is sent again."),
        correlation_id=text("That of the message, else its message id."),
        app_id=text("Who sends it.", const=APP),
        **more,
    )
