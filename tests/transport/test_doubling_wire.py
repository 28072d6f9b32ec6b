"""What comes over SFTP and AMQP, taken apart by our own code: twice the length, about twice the time."""

import json
import struct
from collections.abc import Callable
from typing import Any, Final, cast

import pamqp.frame
import paramiko
import pytest
from aio_pika import IncomingMessage, Message
from aiormq.abc import DeliveredMessage
from pamqp import commands
from paramiko.server import ServerInterface

from adapters.backends.amqp_exchange import put_aside, text_in, word_in
from adapters.channels.amqp.dead_letters import dead_letter, notice
from adapters.channels.amqp.validation import CLAIM, reply_of, validate
from adapters.channels.sftp_partner.claim_names import claim_of, is_sound
from adapters.channels.sftp_server.services import SftpServices
from adapters.channels.sftp_server.session import Session
from adapters.channels.sftp_server.virtual_tree import Tree
from adapters.home.clock import utc_now
from adapters.transport.amqp.aside import facts_of
from adapters.transport.amqp.consuming import ReceivedMessage
from adapters.transport.amqp.content import UNFIT, properties_in
from adapters.transport.amqp.content import content_header as encoded
from adapters.transport.amqp.frames import UNREADABLE, read_all_there_is
from adapters.transport.sftp.codec import Command, pack, packet
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.parties import Account, Delivery
from gateway.model.unfinished_names import whole_name
from tests.support.doubling import filled, grows_with_its_input
from tests.support.raw_amqp import Properties, content_header, field, table
from tests.transport.test_sftp_wire import wire

ACCOUNT: Final = Account(name="broker-aa", keys=(), delivery=Delivery.AMQP)
UNREADABLE_FINDING: Final = finding(Fault.AMQP_UNREADABLE)
MOST: Final = 1 << 30


class Line:
    """A channel on which a client has said all that it says."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.answered = 0

    def recv(self, most: int) -> bytes:
        # In small pieces, as they come.
        some, self._data = self._data[:1000], self._data[1000:]
        return bytes(some)

    def sendall(self, data: bytes) -> None:
        self.answered += len(data)

    def get_transport(self) -> None: ...
    def settimeout(self, seconds: float) -> None: ...
    def send_exit_status(self, status: int) -> None: ...


def served(data: bytes) -> Line:
    """A session that answers what was said, of an account whose store is never asked."""
    nothing = cast(Any, None)
    services = SftpServices(nothing, nothing, nothing, nothing, utc_now, nothing)
    line = Line(packet(Command.INIT, pack(3)) + data)
    tree = Tree(services, ACCOUNT, lambda: ACCOUNT)
    session = Session(
        *(cast(paramiko.Channel, line), "sftp", cast(ServerInterface, None), tree, 1.0), lambda _session: None
    )
    session.start_subsystem("sftp", nothing, nothing)
    assert line.answered
    return line


def request(kind: int, *fields: bytes) -> bytes:
    return packet(kind, pack(1, *fields))


def in_a_path(piece: str, before: str = "") -> Callable[[int], bytes]:
    """Half of what a packet may hold, as two paths of a rename must fit."""
    return lambda size: before.encode() + filled(piece, size // 4)


def request_for(kind: int, *more: bytes) -> Callable[[bytes], object]:
    return lambda path: served(request(kind, *more, path))


def listed(entries: bytes) -> object:
    """A folder as a partner's server lists it, in answers as long as we read."""
    with wire(packet(Command.NAME, pack(1), entries)) as asking:
        return [(claim_of(name.name), is_sound(name.name)) for name in asking.names(asking.ask(Command.NAME))]


def entries(name: bytes, attributes: bytes) -> Callable[[int], bytes]:
    one = pack(name, b"") + attributes
    return lambda size: (size // 2 // len(one)).to_bytes(4) + filled(one, size // 2)


PATHS: Final = {
    "folders": in_a_path("a/"),
    "folders above": in_a_path("../"),
    "down and up": in_a_path("a/../"),
    "slashes": in_a_path("/"),
    "a long name": in_a_path("a"),
    "a long name in OutBox": in_a_path("a", "/OutBox/"),
    "Chinese": in_a_path("单", "/OutBox/"),
    "control characters": in_a_path("\1", "/OutBox/"),
    "unfinished suffixes": in_a_path(".tmp", "/OutBox/"),
    "no UTF-8": lambda size: filled(b"\xff", size // 4),
}
SFTP: Final[dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]]] = {
    **{f"stat: {name}": (request_for(Command.STAT), made) for name, made in PATHS.items()},
    **{f"rename: {name}": (request_for(Command.RENAME, b"/InBox/a"), made) for name, made in PATHS.items()},
    **{f"real path: {name}": (request_for(Command.REALPATH), made) for name, made in PATHS.items()},
    "opened folders": (served, lambda size: filled(request(Command.OPENDIR, b"/OutBox"), size)),
    "requests": (served, lambda size: filled(request(Command.REALPATH, b"."), size)),
    "requests that nobody knows": (served, lambda size: filled(request(77), size)),
    "requests that are cut short": (served, lambda size: filled(packet(Command.STAT, bytes(5)), size)),
    "an extension": (request_for(Command.EXTENDED), in_a_path("a")),
    "a partner's names": (listed, entries(b"a.xml", (0).to_bytes(4))),
    "a partner's claims": (listed, entries(b"." + b"a." * 60 + b"taken", (0).to_bytes(4))),
    "a partner's attributes": (
        listed,
        entries(b"a", pack(1 << 31, 50, *[b""] * 100)),
    ),
    "a claim's name": (lambda name: claim_of(name.decode()), lambda size: b"." + filled("a.", size)),
    "an unfinished name": (lambda name: whole_name(name.decode()), lambda size: filled(".tmp", size)),
}


def delivered(header: bytes, body: bytes) -> ReceivedMessage:
    """`header` is a whole frame."""
    return ReceivedMessage(body, properties_in(header[7:-1]), "x")


def viewed(header: bytes, body: bytes) -> IncomingMessage:
    """As the library reads it, for those who look at what was put aside."""
    read_all_there_is()
    _size, _channel, read = pamqp.frame.unmarshal(header)
    return IncomingMessage(
        DeliveredMessage(
            delivery=commands.Basic.Deliver("tag", 1, False, "gateway.in", "x"),
            header=cast(Any, read),
            body=body,
            channel=cast(Any, None),
        )
    )


def consumed(properties: bytes) -> object:
    return looked_at(properties, b"<a/>")


def looked_at(header: bytes, body: bytes) -> object:
    """All that is done with a message, whoever it is from, beside what its content is judged by."""
    message = delivered(header, body)
    letter = dead_letter(message, UNREADABLE_FINDING)
    aside = put_aside(message, "why")
    message_out = notice(reply_of(message, ACCOUNT), UNREADABLE_FINDING)
    written = [can_be_written(each) for each in (letter, aside, message_out)]
    facts = facts_of(viewed(header, body))
    try:
        return validate(message, ACCOUNT, MOST), text_in(message), word_in(message), written, facts
    except MessageRejected:
        return None


def can_be_written(message: Message) -> bool:
    try:
        return bool(encoded(message))
    except UNFIT:
        return False


def headers(piece: bytes) -> Callable[[int], bytes]:
    return lambda size: content_header(Properties(message_id=b"m", headers=table(filled(piece, size))), 4)


def one_header(name: bytes, kind: bytes, value: Callable[[int], bytes]) -> Callable[[int], bytes]:
    return lambda size: content_header(
        Properties(message_id=b"m", headers=table(field(name, kind, value(size)))), 4
    )


def nested(size: int) -> bytes:
    inside = table()
    for _ in range(size // 100):  # deeper than can be read
        inside = table(field(b"a", b"F", inside))
    return inside


def claimed(body: bytes) -> object:
    header = content_header(Properties(message_id=b"m", content_type=CLAIM.encode()), len(body))
    return looked_at(header, body)


def of_content(body: bytes) -> object:
    return looked_at(content_header(Properties(message_id=b"m"), len(body)), body)


AMQP: Final[dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]]] = {
    "headers without a value": (consumed, headers(field(b"", b"V", b""))),
    "headers": (consumed, headers(field(b"a", b"S", table(b"x")))),
    "headers that are tables": (consumed, headers(field(b"a", b"F", table()))),
    "headers that nobody knows": (consumed, headers(field(b"a", b"?", b""))),
    "many names": (
        consumed,
        lambda size: content_header(
            Properties(
                message_id=b"m",
                headers=table(*(field(b"%d" % number, b"V", b"") for number in range(size // 8))),
            ),
            4,
        ),
    ),
    "an array of nothing": (consumed, one_header(b"a", b"A", lambda size: table(filled(b"V", size)))),
    "an array of texts": (
        consumed,
        one_header(b"a", b"A", lambda size: table(filled(b"S" + table(b"x"), size))),
    ),
    "an array of arrays": (
        consumed,
        one_header(b"a", b"A", lambda size: table(filled(b"A" + table(), size))),
    ),
    "tables in tables": (consumed, one_header(b"a", b"F", nested)),
    "a name": (consumed, one_header(b"name", b"S", lambda size: table(filled("a/", size)))),
    "a name that cannot be shown": (
        consumed,
        one_header(b"name", b"S", lambda size: table(filled(b"\1", size))),
    ),
    "a name that is no UTF-8": (
        consumed,
        one_header(b"name", b"S", lambda size: table(filled(b"\xff", size))),
    ),
    "a trace": (consumed, one_header(b"traceparent", b"S", lambda size: table(filled("00-", size)))),
    "a claim of braces": (claimed, lambda size: filled("{", size)),
    "a claim of a name": (
        claimed,
        lambda size: json.dumps({"file": "a" * size + ".tmp", "size": 1, "sha256": "0" * 64}).encode(),
    ),
    "content": (of_content, lambda size: filled(b"PK", size)),
    "a word": (of_content, lambda size: filled(b"\xff", size)),
}


@pytest.mark.parametrize("case", SFTP)
def test_the_time_to_read_sftp_data_grows_with_their_length(case: str) -> None:
    assert grows_with_its_input(*SFTP[case])


@pytest.mark.parametrize("case", AMQP)
def test_the_time_to_read_an_amqp_message_grows_with_its_length(case: str) -> None:
    assert grows_with_its_input(*AMQP[case])


def test_a_table_is_read_as_the_library_reads_it_and_no_field_reaches_beyond_it() -> None:
    whole = table(
        field(b"t", b"t", b"\1"),
        field(b"l", b"l", struct.pack(">q", -5)),
        field(b"d", b"D", b"\1" + struct.pack(">i", 15)),
        field(b"x", b"x", table(b"\0\1")),
        field(b"f", b"F", table(field(b"A", b"A", table(b"V", b"S" + table("单".encode()))))),
        field(b"v", b"V", b""),
    )
    read_all_there_is()
    _size, _channel, frame = pamqp.frame.unmarshal(content_header(Properties(headers=whole), 4))
    headers = dict(cast(Any, frame).properties.headers)
    assert str(headers.pop("d")) == "1.5"
    assert headers == {"t": True, "l": -5, "x": b"\0\1", "f": {"A": [None, "单"]}, "v": None}
    for spoilt in (
        field(b"a", b"S", struct.pack(">I", 100) + b"x"),
        field(b"a", b"F", struct.pack(">I", 100)),
        field(b"a", b"l", b"\0"),
        field(b"a", b"t", b""),
        b"\xff" + b"name",
        b"\4name",
    ):
        _size, _channel, frame = pamqp.frame.unmarshal(content_header(Properties(headers=table(spoilt)), 4))
        assert cast(Any, frame).properties.headers == {UNREADABLE: True}
