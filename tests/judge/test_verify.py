"""Whether a message must be signed, and that only what was verified is used afterwards."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from gateway.formats import xml
from gateway.formats.agreement_notices import build_notice
from gateway.formats.signatures import is_signed
from gateway.judge.validate import ValidatedDocument
from gateway.judge.verify import Evidence, verify
from gateway.model.agreements import PROPOSED, AgreementNotice, AgreementSide, AgreementState
from gateway.model.faults import MessageRejected
from gateway.model.message import Package, Part
from gateway.model.parties import Party, Role, SignaturePolicy
from tests.support.association import agreement
from tests.support.bad_messages import base
from tests.support.judging import families
from tests.support.keys import identity
from tests.support.xml_signatures import Habit

PROPOSAL = AgreementNotice(
    id="N1",
    act=PROPOSED,
    at=datetime(2026, 11, 23, 4, 0, tzinfo=UTC),
    agreement=agreement(state=AgreementState.PROPOSED),
    proposed_by=AgreementSide.BROKER,
)
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SIGNER = identity("p-256")
PLAIN = base().partition("?>\n")[2]
SIGNED = (
    Habit(signing="ecdsa-sha256").sign(PLAIN.replace("</DecMessage>", "{signature}</DecMessage>"), SIGNER)
).decode()
NOTICE = etree.tostring(build_notice(PROPOSAL), encoding="unicode")
SIGNED_NOTICE = (
    Habit(signing="ecdsa-sha256").sign(
        NOTICE.replace("</AgreementNotice>", "{signature}</AgreementNotice>"), SIGNER
    )
).decode()


def verified(text: str, policy: SignaturePolicy) -> Evidence:
    root = xml.parse(text.encode())
    part = Part(name="a.xml", sha256="0" * 64, size=len(text))
    package = Package(document=text.encode(), document_name="a.xml", parts=(part,), is_zip=False)
    party = Party(
        code="1207980011",
        scc="91120116MADEM00A52",
        name="天津示例报关有限公司",
        roles=(Role.BROKER,),
        signature=policy,
        certificates=(SIGNER.registered,),
    )
    kind = families().recognise(root)
    return verify(
        ValidatedDocument(as_sent=root, read_as_sent=True, root=root, type=kind, warnings=()),
        package,
        party,
        NOW,
    )


def refusal(text: str, policy: SignaturePolicy) -> tuple[str, str | None]:
    with pytest.raises(MessageRejected) as rejected:
        verified(text, policy)
    (finding,) = rejected.value.findings
    return finding.code, finding.place.file


def test_a_party_that_must_sign_and_does_not_is_refused() -> None:
    assert refusal(PLAIN, SignaturePolicy.REQUIRED) == ("signature-missing", "a.xml")


def test_a_party_that_must_not_sign_and_does_is_refused() -> None:
    assert refusal(SIGNED, SignaturePolicy.NONE) == ("signature-unwanted", "a.xml")


@pytest.mark.parametrize("policy", [SignaturePolicy.NONE, SignaturePolicy.OPTIONAL])
def test_a_party_that_need_not_sign_may_leave_it_out(policy: SignaturePolicy) -> None:
    evidence = verified(PLAIN, policy)
    assert evidence.signature is None


@pytest.mark.parametrize("policy", [SignaturePolicy.REQUIRED, SignaturePolicy.OPTIONAL])
def test_any_signature_is_verified(policy: SignaturePolicy) -> None:
    evidence = verified(SIGNED, policy)
    assert evidence.signature is not None
    assert evidence.signature.fingerprint == SIGNER.fingerprint
    changed = SIGNED.replace("<GrossWet>108<", "<GrossWet>109<")
    assert refusal(changed, policy) == ("signature-invalid", "a.xml")


def test_later_stages_use_the_verified_content_without_the_signature() -> None:
    evidence = verified(SIGNED, SignaturePolicy.REQUIRED)
    assert evidence.signature is not None
    assert evidence.root is evidence.signature.root
    assert not is_signed(evidence.root)


def test_a_signature_in_a_wrong_place_is_no_unsigned_message() -> None:
    moved = PLAIN.replace(
        "<DecFreeTxt>", '<DecFreeTxt><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    )
    assert refusal(moved, SignaturePolicy.OPTIONAL) == ("signature-form", "a.xml")


@pytest.mark.parametrize("policy", SignaturePolicy)
def test_a_type_that_must_be_signed_is_so_whatever_its_sender_agreed(policy: SignaturePolicy) -> None:
    assert refusal(NOTICE, policy) == ("signature-missing", "a.xml")
    evidence = verified(SIGNED_NOTICE, policy)
    assert evidence.signature is not None
    assert evidence.signature.fingerprint == SIGNER.fingerprint
    assert refusal(SIGNED_NOTICE.replace(">N1<", ">N2<"), policy) == ("signature-invalid", "a.xml")


@pytest.mark.parametrize("c14n", ["1.0", "1.1", "exclusive"])
def test_canonicalisation_with_comments_is_accepted_where_no_comment_is(c14n: str) -> None:
    unsigned = PLAIN.replace("</DecMessage>", "{signature}</DecMessage>")
    habit = Habit(signing="ecdsa-sha256", c14n=f"{c14n} with comments", reference=f"{c14n} with comments")
    signed = habit.sign(unsigned, SIGNER).decode()
    assert verified(signed, SignaturePolicy.REQUIRED).signature is not None
    for commented in (
        signed.replace("<DecHead>", "<!-- --><DecHead>"),
        signed.replace("SignedInfo>", "SignedInfo><!-- -->", 1),
        signed + "<!-- -->",
    ):
        assert refusal(commented, SignaturePolicy.REQUIRED) == ("signature-algorithm", "a.xml")
