"""A message in the wrapper `ImportMessage`: judged by what it wraps, sent on as it came."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.model.decision import Decision
from gateway.model.faults import Fault, Finding, Severity
from gateway.model.parties import SignaturePolicy
from gateway.model.states import Event
from tests.support.bad_messages import CASES, FOLDER, base
from tests.support.declarations import Declaration
from tests.support.habits import HABITS
from tests.support.harness import Harness
from tests.support.judging import refused
from tests.support.keys import identity
from tests.support.receipts import assert_refusal_is_told
from tests.support.rendering import NAMESPACE, files, package, render, wrapped
from tests.support.xml_signatures import Habit

ACCOUNT = "broker-aa"
SIGNER = identity("p-256")
WITHIN = "/ImportMessage/SWImpData"
# Two roots in a wrapper are two messages; the others are wrapped already.
OTHERWISE = {"two-roots", "wrapper-compressed", "wrapper-in-wrapper"}
BAD = [
    name
    for name, case in CASES.items()
    if case.suffix == "xml" and case.make().count(b"<DecMessage") == 1 and name not in OTHERWISE
]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """For messages that are refused, and so leave nothing behind."""
    with Harness.at(tmp_path_factory.mktemp("wrapped") / "home") as opened:
        yield opened


def within(finding: Finding) -> Finding:
    """The same finding in a wrapper."""
    xpath = finding.place.xpath
    return replace(finding, place=replace(finding.place, xpath=None if xpath is None else WITHIN + xpath))


def codes(document: bytes) -> list[str]:
    return [finding.code for finding in refused("a.xml", document) if finding.severity is Severity.ERROR]


def outcome(decision: Decision) -> tuple[object, ...]:
    facts = decision.facts
    return (
        decision.event,
        None if facts is None else (facts.key.type, facts.values, facts.body, facts.operation),
    )


@pytest.mark.parametrize("name", BAD)
def test_a_wrapped_declaration_gets_the_faults_of_the_bare_one_at_the_places_of_its_own_file(
    name: str, refusing: Harness
) -> None:
    bare = (FOLDER / f"{name}.xml").read_bytes()
    one, other = (refusing.judged(ACCOUNT, "a.xml", body) for body in (bare, wrapped(bare)))
    assert one.event is Event.REFUSED
    assert other.findings == tuple(map(within, one.findings))
    if one.facts is None or "reference" in one.facts.values:
        assert outcome(other) == outcome(one)
    assert_refusal_is_told(refusing, other, "a.xml")


def test_a_wrapped_declaration_is_accepted_as_the_bare_one_and_goes_on_as_it_was_sent(
    harness: Harness,
) -> None:
    for habit in HABITS:
        bare = render(Declaration(), habit, indent=True)
        sent = wrapped(bare)
        alone, decision = (
            harness.judgement(harness.received(ACCOUNT, "a.xml", body)) for body in (bare, sent)
        )
        (submission,) = decision.submissions
        assert submission.package_sha256 == hashlib.sha256(sent).hexdigest()
        assert outcome(decision) == outcome(alone)
        assert decision.findings == tuple(map(within, alone.findings))


def test_a_wrapped_message_in_a_zip_is_judged_with_its_files(harness: Harness) -> None:
    declaration = Declaration()
    sent = package(wrapped(render(declaration)), files(declaration), "declaration.xml")
    assert harness.judged(ACCOUNT, "a.zip", sent).event is Event.PASSED


def test_the_reference_holds_however_the_message_is_wrapped(harness: Harness) -> None:
    bare = render(Declaration())
    assert harness.judged(ACCOUNT, "a.xml", bare).event is Event.PASSED
    again = harness.judged(ACCOUNT, "a.xml", wrapped(bare).replace(b"<GrossWet>108<", b"<GrossWet>109<"))
    (finding,) = again.findings
    assert finding.code == Fault.DUPLICATE_REFERENCE.code
    assert finding.place.xpath == f"{WITHIN}/DecMessage/DecSign/ClientSeqNo"


@pytest.mark.parametrize(
    "head",
    ["", "<Compress/>", "<Compress>0</Compress>", "<Compress> 0 </Compress>", "<Compress>\u3000</Compress>"],
)
def test_an_uncompressed_wrapped_message_is_taken(head: str) -> None:
    assert codes(wrapped(render(Declaration()), head)) == []


@pytest.mark.parametrize(
    "head",
    [
        "<Compress>1</Compress>",
        "<Compress>true</Compress>",
        "<Compress>zip</Compress>",
        "<Compress>00</Compress>",
        "<Compress>0</Compress><Compress>1</Compress>",
        '<c:Compress xmlns:c="urn:c">1</c:Compress>',
        "<A><Compress>1</Compress></A>",
        "<Compress><B>1</B></Compress>",
    ],
)
def test_a_message_marked_as_compressed_is_refused(head: str) -> None:
    assert codes(wrapped(render(Declaration()), head)) == [Fault.WRAPPER_COMPRESSED.code]


ALONE = render(Declaration()).partition(b"?>")[2].decode()
HEAD = "<SWImpHead><Compress>0</Compress></SWImpHead>"
DATA = f"<SWImpData>{ALONE}</SWImpData>"


@pytest.mark.parametrize(
    "content",
    [
        "",
        HEAD,
        f"{HEAD}<SWImpData/>",
        f"{HEAD}<SWImpData>UEsDBBQAAAAI</SWImpData>",
        f"{HEAD}<SWImpData><![CDATA[{ALONE}]]></SWImpData>",
        f"{HEAD}<SWImpData>{ALONE}{ALONE}</SWImpData>",
        f"{HEAD}<SWImpData>{ALONE}<a/></SWImpData>",
        f"{HEAD}<SWImpData>{ALONE}more</SWImpData>",
        f"{HEAD}<SWImpData><ImportMessage>{HEAD}{DATA}</ImportMessage></SWImpData>",
        f"{HEAD}{DATA}{DATA}",
        f"{HEAD}{HEAD}{DATA}",
        f"{HEAD}{DATA}{ALONE}",
        f"{HEAD}{DATA}more",
        f"<SWImpHead><Compress>0</Compress>{ALONE}</SWImpHead>{DATA}",
    ],
)
def test_a_wrapper_of_anything_but_one_message_is_refused(content: str) -> None:
    assert codes(f"<ImportMessage>{content}</ImportMessage>".encode()) == [Fault.WRAPPER_CONTENT.code]


def test_a_wrapper_of_no_message_that_parties_send_is_refused_like_the_message() -> None:
    for name in ("family-unknown", "answer-release"):
        bare = (FOLDER / f"{name}.xml").read_bytes().rpartition(b"?>")[2].strip()
        sent = b"<ImportMessage><SWImpData>" + bare + b"</SWImpData></ImportMessage>"
        assert codes(sent) == codes(bare) == [Fault.FAMILY_UNKNOWN.code]


def test_a_message_of_another_family_is_not_wrapped() -> None:
    notice = '<AgreementNotice xmlns="urn:customs-edi-gateway:1"/>'
    sent = f"<ImportMessage><SWImpData>{notice}</SWImpData></ImportMessage>".encode()
    (finding,) = refused("a.xml", sent)
    assert (finding.code, finding.place.xpath) == (Fault.WRAPPER_CONTENT.code, f"{WITHIN}/AgreementNotice")


def test_names_of_namespaces_may_be_declared_on_the_wrapper() -> None:
    text = render(Declaration()).decode().partition("?>")[2].replace(f' xmlns="{NAMESPACE}"', "")
    prefixed = text.replace("</", "\0").replace("<", "<d:").replace("\0", "</d:")
    sent = f'<ImportMessage xmlns:d="{NAMESPACE}"><SWImpData>{prefixed}</SWImpData></ImportMessage>'
    assert codes(sent.encode()) == []


def test_the_schema_location_of_a_wrapper_is_warned_about_and_no_more() -> None:
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    located = f'<ImportMessage {xsi} xsi:noNamespaceSchemaLocation="SWImportMessagexsd.xsd">'
    assert codes(wrapped(render(Declaration())).replace(b"<ImportMessage>", located.encode())) == []


def test_a_signature_of_the_wrapper_holds_over_all_of_it(harness: Harness) -> None:
    harness.change(ACCOUNT, signature=SignaturePolicy.REQUIRED, certificates=(SIGNER.registered,))
    sent = Habit(signing="ecdsa-sha256").sign(
        wrapped(base().encode(), after="{signature}").decode().partition("?>")[2].strip(), SIGNER
    )
    for old, new in ((b">SWDEC001<", b">SWDEC002<"), (b"<GrossWet>108<", b"<GrossWet>109<")):
        assert old in sent
        (finding,) = harness.judged(ACCOUNT, "a.xml", sent.replace(old, new)).findings
        assert finding.code == Fault.SIGNATURE_INVALID.code
    decision = harness.judged(ACCOUNT, "a.xml", sent)
    assert decision.event is Event.PASSED
    (submission,) = decision.submissions
    assert SIGNER.fingerprint.encode() in submission.envelope


def test_a_signature_of_what_was_wrapped_afterwards_is_not_one_of_the_file(harness: Harness) -> None:
    harness.change(ACCOUNT, signature=SignaturePolicy.OPTIONAL, certificates=(SIGNER.registered,))
    bare = base().partition("?>")[2].strip().replace("</DecMessage>", "{signature}</DecMessage>")
    signed = Habit(signing="ecdsa-sha256").sign(bare, SIGNER)
    (finding,) = harness.judged(ACCOUNT, "a.xml", wrapped(signed)).findings
    assert finding.code == Fault.SIGNATURE_FORM.code
    assert harness.judged(ACCOUNT, "a.xml", signed).event is Event.PASSED
