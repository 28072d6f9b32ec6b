"""Whatever comes, and whatever is done to real declarations, ends in a decision that can be read."""

from collections.abc import Iterator
from functools import cache
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.formats import xml
from gateway.judge.pipeline import judge
from gateway.model.decision import Decision
from gateway.model.faults import Severity
from gateway.model.message import Arrival, ChainLink, ReceiptKind, Received, new_id
from gateway.model.states import Event
from tests.support.declarations import INVOICE, Declaration, Document, full
from tests.support.habits import HABITS
from tests.support.harness import NOW, Harness
from tests.support.keys import identity
from tests.support.pdfs import pdf
from tests.support.receipts import faults_of, schema
from tests.support.rendering import package, render
from tests.support.xml_signatures import Habit as Signing


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """For judgements that are not committed."""
    with Harness.at(tmp_path_factory.mktemp("judging") / "home") as harness:
        yield harness


def decided(harness: Harness, name: str, body: bytes) -> Decision:
    arrival = Arrival(
        id=new_id(NOW, bytes(10)),
        account="broker-aa",
        channel="sftp",
        name=name,
        sha256="0" * 64,
        size=len(body),
        received_at=NOW,
    )
    received = Received(arrival=arrival, attempts=1, link=ChainLink(sequence=1, digest="0" * 64))
    return judge(received, lambda: BytesIO(body), harness.rules, harness.register, harness.signer, NOW)


def assert_sound(decision: Decision) -> None:
    """A decision with receipts that can be read, whatever was sent."""
    assert decision.event in (Event.PASSED, Event.REFUSED, Event.WAITING)
    if decision.event is Event.REFUSED:
        assert any(finding.severity is Severity.ERROR for finding in decision.findings)
        assert decision.submissions == ()
    elif decision.event is Event.WAITING:
        assert decision.wait is not None
        assert decision.submissions == ()
    else:
        assert all(finding.severity is Severity.WARNING for finding in decision.findings)
        (submission,) = decision.submissions
        assert faults_of(schema("gateway", "envelope.xsd"), submission.envelope) == []
    for receipt in decision.receipts:
        if receipt.kind is ReceiptKind.GATEWAY:
            assert faults_of(schema("gateway", "receipt.xsd"), receipt.body) == []
        elif receipt.kind is ReceiptKind.TECHNICAL:
            assert faults_of(schema("cn-dec", "DecImportResponse.xsd"), receipt.body) == []
        else:
            assert all(line.isprintable() for line in receipt.body.decode().split("\n"))
        assert len(receipt.body) < 1_000_000


_TOKENS = [
    "<",
    ">",
    "&",
    "]]>",
    "<!--",
    "-->",
    "<![CDATA[",
    "<?a b?>",
    "<!DOCTYPE a>",
    "\x00",
    "\ufffe",
    "\u202e",
    "<a/>",
    "<DecHead/>",
    "<DecSign>",
    "</DecSign>",
    "<DecLists><DecList/></DecLists>",
    "&lt;",
    "&#xD;",
    "&#0;",
    ' a="b"',
    ' xmlns="urn:x"',
    ' xmlns=""',
    ' xmlns:p="a/b"',
    ' xml:lang="zh"',
    ' xml:id="a"',
    ' xml:base="b"',
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="DecSign"',
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"',
    '<s:Signature xmlns:s="http://www.w3.org/2000/09/xmldsig#"/>',
    "天" * 70,
    "9" * 40,
    "-1",
    "1e9",
    "NaN",
    " ",
    "\n",
    "\t",
    "US",
    "S",
    "GBK",
    "1.0",
    "version",
    "Version",
]
_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["put", "over", "cut", "again"]),
        st.integers(0, 1 << 16),
        st.integers(1, 120),
        st.sampled_from(_TOKENS),
    ),
    min_size=1,
    max_size=5,
)


@cache
def _documents() -> tuple[str, ...]:
    signed = Signing().sign(
        render(Declaration())
        .decode()
        .partition("?>\n")[2]
        .replace("</DecMessage>", "{signature}</DecMessage>"),
        identity("rsa-2048", "broker-aa"),
    )
    declaration = Declaration(documents=(Document(code=INVOICE, body=pdf()),))
    return (render(declaration, HABITS[0]).decode(), render(full(), HABITS[1]).decode(), signed.decode())


def mutated(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    for kind, at, length, token in edits:
        start = at % (len(text) + 1)
        # Half of the edits begin at a tag, where most depends on what stands there.
        if at % 2:
            start = max(0, text.rfind("<", 0, start))
        end = min(len(text), start + length)
        piece = {"put": token, "over": token, "cut": "", "again": text[start:end] * 2}[kind]
        text = text[:start] + piece + text[start if kind == "put" else end :]
    return text


@settings(max_examples=250, deadline=None)
@given(index=st.integers(0, 2), edits=_EDITS, encoding=st.sampled_from(["utf-8", "gbk", "utf-16"]))
def test_whatever_is_done_to_a_document_ends_in_a_decision(
    index: int, edits: list[tuple[str, int, int, str]], encoding: str, judging: Harness
) -> None:
    text = mutated(_documents()[index], edits)
    assert_sound(decided(judging, "a.xml", text.encode(encoding, "replace")))


@settings(max_examples=100, deadline=None)
@given(
    edits=_EDITS,
    name=st.text(st.characters(exclude_characters="/\\:\x00", exclude_categories=["Cs"]), max_size=30),
    body=st.binary(max_size=200),
)
def test_whatever_is_in_a_package_ends_in_a_decision(
    edits: list[tuple[str, int, int, str]], name: str, body: bytes, judging: Harness
) -> None:
    text = mutated(_documents()[0], edits)
    attached = {f"{name}.pdf": body}
    assert_sound(decided(judging, "a.zip", package(text.encode("utf-8", "replace"), attached)))


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from(
        [b"", b"<", b"<?xml version='1.0'", b"PK\x03\x04", b"\xef\xbb\xbf<", b"\xff\xfe<\x00"]
    ),
    body=st.binary(max_size=300),
)
def test_any_bytes_end_in_a_refusal(start: bytes, body: bytes, judging: Harness) -> None:
    decision = decided(judging, "a.zip", start + body)
    assert_sound(decision)
    assert decision.event is Event.REFUSED


def test_a_refusal_is_valid_xml_whatever_the_sender_wrote(judging: Harness) -> None:
    hostile = "]]>&lt;/ErrorMessage&gt;${text}$reference{detail}\u202e\u0085"
    body = render(Declaration(reference="R1", head={"GrossWet": hostile, "NetWt": "x"}))
    decision = decided(judging, "a.xml", body)
    assert_sound(decision)
    answer = xml.parse(decision.receipts[1].body)
    assert len(answer) == 5
