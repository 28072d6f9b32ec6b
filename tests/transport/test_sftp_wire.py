"""What an SFTP server must not answer."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast

import paramiko
import pytest
from paramiko.sftp import CMD_ATTRS, CMD_HANDLE, CMD_OPEN, CMD_VERSION

from adapters.transport.sftp.sftp_wire import BadAnswer, Wire, string


def packet(kind: int, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(4) + bytes([kind]) + body


@contextmanager
def wire(*answers: bytes) -> Iterator[Wire]:
    """To a server that has said all of this before it is asked anything."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        theirs.sendall(b"".join((packet(CMD_VERSION, (3).to_bytes(4)), *answers)))
        yield Wire(cast(paramiko.Channel, ours))


def test_answers_come_in_any_order() -> None:
    second, first = (packet(CMD_HANDLE, number.to_bytes(4) + string(b"%d" % number)) for number in (2, 1))
    with wire(second, first) as asking:
        numbers = [asking.ask(CMD_OPEN, b"a", 1, 0), asking.ask(CMD_OPEN, b"b", 1, 0)]
        assert [asking.handle(number) for number in numbers] == [b"1", b"2"]


@pytest.mark.parametrize("number", [0, 2, 0xFFFFFFFF])
def test_an_answer_to_nothing_that_was_asked_ends_it(number: int) -> None:
    unasked = packet(CMD_ATTRS, number.to_bytes(4) + bytes(1000))
    answer = packet(CMD_HANDLE, (1).to_bytes(4) + string(b"h"))
    with wire(unasked, answer) as asking, pytest.raises(BadAnswer):
        asking.handle(asking.ask(CMD_OPEN, b"a", 1, 0))


def test_nothing_is_answered_twice() -> None:
    answer = packet(CMD_HANDLE, (1).to_bytes(4) + string(b"h"))
    with wire(answer, answer) as asking:
        asking.handle(asking.ask(CMD_OPEN, b"a", 1, 0))
        with pytest.raises(BadAnswer):
            asking.handle(asking.ask(CMD_OPEN, b"b", 1, 0))


def test_an_answer_of_an_impossible_length_is_not_read() -> None:
    with wire((1 << 30).to_bytes(4) + b"x") as asking, pytest.raises(BadAnswer):
        asking.handle(asking.ask(CMD_OPEN, b"a", 1, 0))
