"""The frames of the bare loop, held against the codec of the client that the product uses."""

from typing import Any

import pytest
from pamqp import body, commands, frame, header

from bench.job.frames import Content, acknowledged, contents, delivered, published

FULL = Content(
    body=b"<a/>",
    headers={"name": "申报.xml", "final": True},
    content_type="application/xml",
    correlation_id="a/1",
    reply_to="broker.replies",
    message_id="receipt-1",
    type="gateway",
    user_id="broker",
    app_id="gateway",
    timestamp=1_796_104_229,
)
LARGE = Content(body=b"x" * 300_000, message_id="large")


def test_a_publish_says_to_the_client_library_what_it_was_made_of() -> None:
    method, head, content = _decoded(published(FULL, "", "broker.replies"))

    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory) == ("", "broker.replies", True)
    assert isinstance(head, header.ContentHeader)
    assert head.body_size == len(FULL.body)
    properties = head.properties
    assert (properties.content_type, properties.headers, properties.delivery_mode) == (
        FULL.content_type,
        FULL.headers,
        2,
    )
    assert (properties.correlation_id, properties.reply_to) == (FULL.correlation_id, FULL.reply_to)
    assert (properties.message_id, properties.message_type) == (FULL.message_id, FULL.type)
    assert (properties.user_id, properties.app_id) == (FULL.user_id, FULL.app_id)
    assert properties.timestamp is not None
    assert properties.timestamp.timestamp() == FULL.timestamp
    assert isinstance(content, body.ContentBody)
    assert content.value == FULL.body


@pytest.mark.parametrize("content", [FULL, LARGE])
def test_a_delivered_frame_is_read_as_it_was_sent(content: Content) -> None:
    received = b"".join(delivered(content, tag, "queue") for tag in (1, 2))

    for received_content in contents(received):
        assert (received_content.body, received_content.message_id) == (content.body, content.message_id)
        assert received_content.headers == content.headers
    assert len(list(contents(received))) == 2


def test_one_acknowledgement_is_for_all_before_it() -> None:
    (ack,) = _decoded(acknowledged(32))

    assert isinstance(ack, commands.Basic.Ack)
    assert (ack.delivery_tag, ack.multiple) == (32, True)


def _decoded(data: bytes) -> list[Any]:
    frames = []
    while data:
        size, channel, decoded = frame.unmarshal(data)
        assert channel == 1
        frames.append(decoded)
        data = data[size:]
    return frames
