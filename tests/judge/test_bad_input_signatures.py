"""Bad signatures, and certificates that are no good, through the whole pipeline."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.parties import RegisteredCertificate, SignaturePolicy
from gateway.model.states import Event
from tests.support.bad_messages import BARE
from tests.support.bad_signatures import CASES, FOLDER, REGISTERED
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.receipts import assert_refusal_is_told
from tests.support.rendering import render

ACCOUNT = "broker-aa"
SOUND = (FOLDER / "sound.xml").read_bytes()


def certificate(name: str, revoked_at: datetime | None = None) -> RegisteredCertificate:
    return RegisteredCertificate(pem=(FOLDER / f"{name}.crt").read_text(), revoked_at=revoked_at)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    with Harness.at(tmp_path / "home") as harness:
        harness.change(ACCOUNT, certificates=tuple(certificate(name) for name in REGISTERED))
        yield harness


def refused(harness: Harness, body: bytes) -> list[tuple[str, str | None]]:
    with harness.nothing_else_touched():
        decision: Decision = harness.judged(ACCOUNT, BARE, body)
    assert_refusal_is_told(harness, decision, BARE)
    return [(finding.code, finding.place.file) for finding in decision.findings]


def test_the_sound_document_of_the_folder_is_accepted(harness: Harness) -> None:
    decision = harness.judged(ACCOUNT, BARE, SOUND)
    assert (decision.event, decision.findings) == (Event.PASSED, ())


@pytest.mark.parametrize("name", CASES)
def test_a_bad_signature_is_refused_as_what_it_is(name: str, harness: Harness) -> None:
    body = (FOLDER / f"{name}.xml").read_bytes()
    assert refused(harness, body) == [(CASES[name].fault.code, BARE)]


def test_a_revoked_certificate_counts_no_more(harness: Harness) -> None:
    harness.change(ACCOUNT, certificates=(certificate("signer", revoked_at=NOW),))
    assert refused(harness, SOUND) == [(Fault.CERTIFICATE_REVOKED.code, BARE)]


def test_a_certificate_counts_until_it_is_revoked(harness: Harness) -> None:
    harness.change(
        ACCOUNT, certificates=(certificate("signer", revoked_at=datetime(2026, 12, 1, tzinfo=UTC)),)
    )
    assert harness.judged(ACCOUNT, BARE, SOUND).event is Event.PASSED


def test_the_certificate_of_another_party_does_not_count(harness: Harness) -> None:
    harness.change("broker-b", certificates=(certificate("signer"),))
    harness.change(ACCOUNT, certificates=())
    assert refused(harness, SOUND) == [(Fault.CERTIFICATE_UNKNOWN.code, BARE)]


def test_a_party_that_must_sign_is_refused_without(harness: Harness) -> None:
    harness.change(ACCOUNT, signature=SignaturePolicy.REQUIRED)
    assert refused(harness, render(Declaration())) == [(Fault.SIGNATURE_MISSING.code, BARE)]
    assert harness.judged(ACCOUNT, BARE, SOUND).event is Event.PASSED


def test_a_party_that_signs_nothing_is_refused_with(harness: Harness) -> None:
    harness.change(ACCOUNT, signature=SignaturePolicy.NONE)
    assert refused(harness, SOUND) == [(Fault.SIGNATURE_UNWANTED.code, BARE)]
    assert harness.judged(ACCOUNT, BARE, render(Declaration())).event is Event.PASSED


def test_the_folder_holds_one_document_for_each_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.xml")} == {"sound", *CASES}
