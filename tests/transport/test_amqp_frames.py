"""Frames are read alike however the network cuts them."""

import asyncio
import importlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from aiormq import connection
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from adapters.transport.amqp import frames

importlib.import_module("adapters.transport.amqp.connection")  # as the product does: it changes the reading


def read(pieces: Sequence[bytes], *, ends: bool = True) -> list[Any]:
    """The frames of what comes in these pieces, and at last the exception."""

    async def run() -> list[Any]:
        reader = asyncio.StreamReader()
        receiver = connection.FrameReceiver(reader)
        assert isinstance(receiver, frames._FrameReceiver)
        got: list[Any] = []

        async def take() -> None:
            try:
                async for frame in receiver:
                    got.append(frame)
                got.append("the end")
            except Exception as error:
                got.append(error)

        task = asyncio.create_task(take())
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        if ends:
            reader.feed_eof()
        async with asyncio.timeout(10):
            await task
        return got

    return asyncio.run(run())


SENT = (
    Basic.Deliver(consumer_tag="c", delivery_tag=1, exchange="", routing_key="k"),
    ContentHeader(
        body_size=200_000, properties=Basic.Properties(message_id="m", headers={"name": "报关单.xml"})
    ),
    ContentBody(bytes(130_000)),
    ContentBody(bytes(70_000)),
    Heartbeat(),
    Basic.Ack(delivery_tag=7, multiple=True),
)
WIRE = b"".join(marshal(frame, 1) for frame in SENT)


def plain(got: Sequence[Any]) -> list[object]:
    """The bytes of the frames, so that they can be compared."""
    return [marshal(each[2], each[1]) if isinstance(each, tuple) else type(each).__name__ for each in got]


WHOLE = plain(read([WIRE]))


def test_what_comes_in_one_piece_is_all_frames() -> None:
    assert WHOLE[:-1] == [marshal(frame, 0 if isinstance(frame, Heartbeat) else 1) for frame in SENT]


@given(cuts=st.lists(st.integers(1, len(WIRE) - 1), max_size=12))
def test_however_it_is_cut_the_frames_are_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WIRE)]
    pieces = [WIRE[a:b] for a, b in pairwise(places) if a < b]
    assert plain(read(pieces))[: len(SENT)] == WHOLE[: len(SENT)]


@pytest.mark.parametrize("kept", [1, 6, 7, 8, 60, len(WIRE) - 1])
def test_a_frame_that_the_network_cuts_off_is_a_lost_connection(kept: int) -> None:
    assert isinstance(read([WIRE[:kept]])[-1], AMQPConnectionError)


def test_a_frame_without_its_end_is_refused() -> None:
    wrong = bytearray(marshal(SENT[0], 1))
    wrong[-1] = 0
    assert isinstance(read([bytes(wrong)])[-1], InvalidFrameError)


def test_another_protocol_is_refused() -> None:
    (error,) = read([b"AMQP\x00\x00\x09\x01"])
    assert "protocol header" in str(error)


@pytest.mark.parametrize("before", [b"", marshal(SENT[0], 1)])
def test_a_frame_that_is_announced_too_large_is_not_waited_for(before: bytes) -> None:
    announced = before + b"\x03\x00\x01\xff\xff\xff\xff" + bytes(1000)
    assert isinstance(read([announced], ends=False)[-1], InvalidFrameError)
