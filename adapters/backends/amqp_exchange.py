"""The queues over which the gateway and a back-end exchange messages, and the form of the messages.

A submission is the zip of `submission.write_zip`, an answer is one XML document; both name the submission by
its key as `correlation_id`. A query has a key as its body and is answered with one word to the queue named in
its `reply_to`. `docs/asyncapi.json` documents all of it for the other side.
"""

import hashlib
from enum import StrEnum
from typing import Final

from aio_pika import DeliveryMode, Message

from adapters.transport.amqp.consuming import ReceivedMessage
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.faults import printable
from gateway.model.message import SUBMISSION_KEY
from gateway.model.trace_context import TRACEPARENT, traceparent

APP: Final = "customs-edi-gateway"
ZIP: Final = "application/zip"
XML: Final = "application/xml"
TEXT: Final = "text/plain"
NAME: Final = "name"  # header of an answer: the file name under which it is relayed
REASON: Final = "reason"  # header of a message that was put aside: why


REPLIES: Final = "amq.rabbitmq.reply-to"  # direct reply-to: no queue is made, none is left behind


class Word(StrEnum):
    """The answers of customs to a query."""

    TAKEN = "taken"
    UNKNOWN = "unknown-key"  # not taken up so far


def dead(queue: str) -> str:
    """The queue for unusable messages that came in this queue."""
    return f"{queue}.dead"


def submission(key: str, body: bytes, content_type: str) -> Message:
    return Message(
        body,
        headers={TRACEPARENT: traceparent(key)},
        content_type=content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=key,
        correlation_id=key,
        app_id=APP,
    )


def answer(id_: str, key: str | None, name: str, body: bytes) -> Message:
    """`id_` is the same however often the answer is sent."""
    return Message(
        body,
        headers={NAME: name},
        content_type=XML,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=id_,
        correlation_id=key,
    )


def question(number: str, key: str) -> Message:
    return Message(
        key.encode(), content_type=TEXT, message_id=number, correlation_id=number, reply_to=REPLIES
    )


def word(reply: Word, number: str | None) -> Message:
    """The answer to the question with this number, its `correlation_id`."""
    return Message(reply.encode(), content_type=TEXT, correlation_id=number)


def word_in(message: ReceivedMessage) -> Outcome | None:
    """What a word means for the submission; an unknown word means nothing.

    None for `unknown-key`: the query may have overtaken the submission, which may be in the queue, or on its
    way there over a broken connection.
    """
    match message.body.decode("ascii", "replace"):
        case Word.TAKEN:
            return Outcome.TAKEN
        case Word.UNKNOWN:
            return None
        case _:
            return Outcome.UNKNOWN


def put_aside(message: ReceivedMessage, reason: str) -> Message:
    """The same message with the reason why it is unusable."""
    return Message(
        message.body,
        headers={**message.headers, REASON: reason},
        content_type=message.content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
    )


def key_of(message: ReceivedMessage) -> str | None:
    """The key of the submission that a message contains or concerns, if it names one."""
    key = message.correlation_id
    return key if isinstance(key, str) and SUBMISSION_KEY.fullmatch(key) else None


def text_in(message: ReceivedMessage) -> Answer:
    """The answer in a message. Its id is the same when it is delivered again, on any connection, and
    different if anything in it differs; its name comes from the other side, made printable."""
    named = message.headers.get(NAME)
    name = printable(named, 200) if isinstance(named, str) and named else "answer.xml"
    key = key_of(message)
    identity = "\n".join((message.message_id or "", key or "", name)).encode()
    digest = hashlib.sha256(identity + b"\n" + message.body).hexdigest()
    return Answer(id=digest, name=name, body=message.body, key=key)
