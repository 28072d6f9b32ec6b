"""What an SFTP server must not answer."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast

import paramiko
import pytest

from adapters.transport.sftp.codec import BadPacket, Command, pack, packet
from adapters.transport.sftp.sftp_wire import Wire


@contextmanager
def wire(*answers: bytes) -> Iterator[Wire]:
    """To a server that has said all of this before it is asked anything."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        theirs.sendall(b"".join((packet(Command.VERSION, pack(3)), *answers)))
        yield Wire(cast(paramiko.Channel, ours))


def test_answers_come_in_any_order() -> None:
    second, first = (packet(Command.HANDLE, pack(number, b"%d" % number)) for number in (2, 1))
    with wire(second, first) as asking:
        numbers = [asking.ask(Command.OPEN, b"a", 1, 0), asking.ask(Command.OPEN, b"b", 1, 0)]
        assert [asking.handle(number) for number in numbers] == [b"1", b"2"]


@pytest.mark.parametrize("number", [0, 2, 0xFFFFFFFF])
def test_an_answer_to_nothing_that_was_asked_ends_it(number: int) -> None:
    unasked = packet(Command.ATTRS, number.to_bytes(4) + bytes(1000))
    answer = packet(Command.HANDLE, pack(1, b"h"))
    with wire(unasked, answer) as asking, pytest.raises(BadPacket):
        asking.handle(asking.ask(Command.OPEN, b"a", 1, 0))


def test_a_second_answer_to_a_request_is_a_bad_packet() -> None:
    answer = packet(Command.HANDLE, pack(1, b"h"))
    with wire(answer, answer) as asking:
        asking.handle(asking.ask(Command.OPEN, b"a", 1, 0))
        with pytest.raises(BadPacket):
            asking.handle(asking.ask(Command.OPEN, b"b", 1, 0))


def test_an_answer_of_an_impossible_length_is_not_read() -> None:
    with wire((1 << 30).to_bytes(4) + b"x") as asking, pytest.raises(BadPacket):
        asking.handle(asking.ask(Command.OPEN, b"a", 1, 0))
