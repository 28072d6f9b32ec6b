"""The envelope of the data exchange platform: whole there and back, and hostile ones refused or left."""

import base64
import io
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.config.connections import DxpSettings
from gateway.formats.dxp import ANSWERS, NAMESPACE, Head, read, unwrapped, write, write_submission
from gateway.formats.xml import trusted
from gateway.model.answer import Answer
from gateway.model.faults import MessageRejected
from tests.support.submissions import sent

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40)
HEADS = st.builds(
    Head,
    id=TEXTS,
    sender=TEXTS,
    receivers=st.lists(TEXTS, min_size=1, max_size=5).map(tuple),
    type=TEXTS,
    name=st.just("") | TEXTS,
    keys=st.dictionaries(TEXTS, TEXTS, max_size=5),
)
HEAD = Head(id="1", sender="DXPEDCDEC0000001", receivers=("DXPENT0000000001",), type="DECRET")


def written(head: Head, data: bytes) -> bytes:
    out = io.BytesIO()
    write(head, AT, io.BytesIO(data), out)
    return out.getvalue()


class Trickle(io.BytesIO):
    """Gives less than it is asked for, as a socket does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(7, size or 0) if size is not None and size > 0 else size)


@given(HEADS, st.binary(max_size=500))
def test_a_written_envelope_is_read_back_unchanged(head: Head, data: bytes) -> None:
    for stream in (io.BytesIO, Trickle):
        out = io.BytesIO()
        assert read(stream(written(head, data)), out) == head
        assert out.getvalue() == data


@pytest.mark.parametrize("size", [57 * 1024 - 1, 57 * 1024, 57 * 1024 + 1, 200_000])
def test_data_longer_than_what_is_read_at_once_come_whole(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    out = io.BytesIO()
    read(io.BytesIO(written(HEAD, data)), out)
    assert out.getvalue() == data


def test_an_envelope_has_the_elements_of_the_format_in_order() -> None:
    root = trusted(written(Head(id="K", sender="S", receivers=("R",), type="DECMSG", name="n.zip"), b"data"))
    assert root.tag == f"{{{NAMESPACE}}}DxpMsg"
    assert (root.get("ver"), root.get("Id")) == ("1.0", "MK")
    assert [(etree.QName(element).localname, element.text) for element in root.iter() if element.text] == [
        ("CopMsgId", "K"),
        ("SenderId", "S"),
        ("ReceiverId", "R"),
        ("CreatTime", "2026-11-23T10:00:00+08:00"),
        ("MsgType", "DECMSG"),
        ("Data", base64.b64encode(b"data").decode()),
        ("FileName", "n.zip"),
    ]


def test_the_same_submission_is_the_same_envelope() -> None:
    submission = sent().submission
    settings = DxpSettings(sender="DXPENT0000000001", receiver="DXPEDCDEC0000001")
    bodies = set()
    for _ in range(2):
        out = io.BytesIO()
        write_submission(submission, io.BytesIO(b"zip"), out, settings)
        bodies.add(out.getvalue())
    (body,) = bodies
    assert b"<CreatTime>2026-11-23T10:00:00+08:00</CreatTime>" in body
    assert read(io.BytesIO(body), io.BytesIO()).id == submission.key


def test_memory_does_not_grow_with_the_data() -> None:
    class Zeros(io.RawIOBase):
        left = 50_000_000

        def read(self, size: int = -1) -> bytes:
            length = min(size, self.left)
            self.left -= length
            return bytes(length)

    class Nowhere(io.RawIOBase):
        def write(self, data: object) -> int:
            return 0

    tracemalloc.start()
    try:
        write(HEAD, AT, Zeros(), Nowhere())  # type: ignore[arg-type]  # two methods are all it needs
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


WHOLE = written(HEAD, b"<DEC_RESULT/>" * 3)
DATA = WHOLE.partition(b"<Data>")[2].partition(b"</Data>")[0]
HOSTILE = {
    "cut short": WHOLE[: WHOLE.index(b"</Data>") - 3],
    "without end": WHOLE[: -len(b"</DxpMsg>")],
    "no base64": WHOLE.replace(DATA, b"%%%%"),
    "padding within": WHOLE.replace(DATA, b"QQ==" * 40_000),
    "one character left": WHOLE.replace(DATA, DATA + b"A"),
    "an entity": WHOLE.replace(DATA, b"&amp;" + DATA),
    "a comment around": WHOLE.replace(b"<Data>", b"<!--<Data>QUJD</Data>--><Data>"),
    "a section": WHOLE.replace(b"<Data>", b"<x><![CDATA[<Data>QUJD</Data>]]></x><Data>"),
    "a DTD": WHOLE.replace(b"<DxpMsg", b"<!DOCTYPE DxpMsg><DxpMsg"),
    "data twice": WHOLE.replace(b"</Data>", b"</Data><Data>QUJD</Data>"),
    "data of another name space": WHOLE.replace(b"<Data>", b'<x:Data>QUJD</x:Data><Data xmlns:x="x">'),
    "data elsewhere": WHOLE.replace(b"<Data>", b"<AddInfo><Data>").replace(b"</Data>", b"</Data></AddInfo>"),
    "an element within": WHOLE.replace(DATA, DATA + b"<x/>"),
    "too much before": WHOLE.replace(b"<Data>", b"<x>" + b" " * 70_000 + b"</x><Data>"),
    "too much after": WHOLE.replace(b"</Data>", b"</Data><x>" + b" " * 70_000 + b"</x>"),
    "another root": WHOLE.replace(b"DxpMsg", b"DxpMsh"),
    "another name space": WHOLE.replace(b"chinaport", b"otherport"),
    "no XML": b"DxpMsg<Data>QUJD</Data>",
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_envelope_is_refused(name: str) -> None:
    assert HOSTILE[name] != WHOLE
    with pytest.raises(MessageRejected):
        read(io.BytesIO(HOSTILE[name]), io.BytesIO())


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_in_a_hostile_envelope_stays_as_it_was_received(name: str) -> None:
    answer = Answer(id="7", name="a.xml", body=HOSTILE[name])
    assert unwrapped(answer) == answer


@given(st.binary(max_size=300))
def test_any_envelope_around_data_is_read_or_refused(junk: bytes) -> None:
    for body in (junk + WHOLE, WHOLE.replace(DATA, junk), WHOLE.replace(b"</Data>", junk + b"</Data>")):
        with suppress(MessageRejected):
            read(io.BytesIO(body), io.BytesIO())


def test_an_answer_comes_out_with_the_name_and_key_of_its_envelope() -> None:
    key = sent().key
    head = Head(id="9", sender="S", receivers=("R",), type="T", name="回执.xml", keys={ANSWERS: key})
    answer = Answer(id="7", name="a.xml", body=written(head, b"<DEC_RESULT/>"))
    assert unwrapped(answer) == Answer(id="7", name="回执.xml", body=b"<DEC_RESULT/>", key=key)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.xml", "C:\\x", "", "x" * 200])
def test_a_dangerous_name_or_a_key_that_is_none_is_not_taken_over(name: str) -> None:
    head = Head(id="9", sender="S", receivers=("R",), type="T", name=name, keys={ANSWERS: "../x"})
    answer = Answer(id="7", name="a.xml", body=written(head, b"<DEC_RESULT/>"))
    assert unwrapped(answer) == Answer(id="7", name="a.xml", body=b"<DEC_RESULT/>")


def test_an_answer_of_the_platform_itself_is_passed_on_as_it_is() -> None:
    body = f'<DxpRep xmlns="{NAMESPACE}"><RecevierId>R</RecevierId><Note>DxpMsg</Note></DxpRep>'.encode()
    answer = Answer(id="7", name="a.xml", body=body)
    assert unwrapped(answer) == answer
