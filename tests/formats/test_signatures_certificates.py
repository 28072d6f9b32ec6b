"""Whose signature it is: only registered certificates count, in their time."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from gateway.model.china import moment_zh
from gateway.model.parties import RegisteredCertificate
from tests.support.keys import identity
from tests.support.xml_signatures import NOW, Habit, KeyInfo, finding_of, verified

SIGNER = identity("rsa-2048")
OTHER = identity("rsa-2048", "trader-b")
DOCUMENT = '<m xmlns="urn:m"><head>good</head>{signature}</m>'
DAY = timedelta(days=1)


def fingerprint_of(signed: bytes, *registered: RegisteredCertificate, now: datetime = NOW) -> str:
    return verified(signed, *registered, now=now).fingerprint


@pytest.mark.parametrize(
    ("key_info", "fault"),
    [
        ("certificate", "certificate-unknown"),
        ("value", "signature-invalid"),
        ("name", "signature-invalid"),
        ("none", "signature-invalid"),
    ],
)
def test_a_key_is_never_taken_from_the_message(key_info: KeyInfo, fault: str) -> None:
    signed = Habit(key_info=key_info).sign(DOCUMENT, OTHER)

    assert finding_of(signed, SIGNER.registered).code == fault
    assert fingerprint_of(signed, OTHER.registered) == OTHER.fingerprint


def test_naming_a_registered_certificate_beside_ones_own_does_not_help() -> None:
    signed = Habit().sign(DOCUMENT, OTHER).decode()
    registered = "".join(SIGNER.certificate_pem.splitlines()[1:-1])
    both = signed.replace(
        "<ds:X509Data>", f"<ds:X509Data><ds:X509Certificate>{registered}</ds:X509Certificate>"
    )

    assert finding_of(both, SIGNER.registered).code == "signature-invalid"


def test_a_chain_in_the_signature_is_no_hindrance() -> None:
    signed = Habit().sign(DOCUMENT, SIGNER).decode()
    issuer = "".join(OTHER.certificate_pem.splitlines()[1:-1])
    chain = signed.replace(
        "</ds:X509Data>", f"<ds:X509Certificate>{issuer}</ds:X509Certificate></ds:X509Data>"
    )

    assert fingerprint_of(chain.encode(), SIGNER.registered) == SIGNER.fingerprint


def test_a_party_without_a_fitting_certificate_has_an_unknown_one() -> None:
    signed = Habit(key_info="none").sign(DOCUMENT, SIGNER)

    assert finding_of(signed).code == "certificate-unknown"
    assert finding_of(signed, identity("p-256").registered).code == "certificate-unknown"


@pytest.mark.parametrize("now", [NOW - 31 * DAY, NOW + 31 * DAY], ids=["before", "after"])
def test_a_certificate_outside_its_validity_is_refused_with_its_dates(now: datetime) -> None:
    signer = identity("rsa-2048", begins=NOW - 30 * DAY, ends=NOW + 30 * DAY)
    signed = Habit(key_info="none").sign(DOCUMENT, signer)

    fault = finding_of(signed, signer.registered, now=now)

    assert fault.code == "certificate-expired"
    assert (NOW - 30 * DAY).isoformat() in fault.en
    assert moment_zh(NOW + 30 * DAY) in fault.zh
    for moment in (NOW - 30 * DAY, NOW, NOW + 30 * DAY):
        assert fingerprint_of(signed, signer.registered, now=moment) == signer.fingerprint


def test_a_certificate_is_refused_from_the_moment_it_is_revoked() -> None:
    signed = Habit().sign(DOCUMENT, SIGNER)
    revoked = replace(SIGNER.registered, revoked_at=NOW)

    fault = finding_of(signed, revoked)

    assert fault.code == "certificate-revoked"
    assert NOW.isoformat() in fault.en
    assert fingerprint_of(signed, revoked, now=NOW - timedelta(seconds=1)) == SIGNER.fingerprint


@pytest.mark.parametrize("key_info", ["certificate", "none"])
def test_old_and_new_certificates_overlap(key_info: KeyInfo) -> None:
    old = identity("rsa-2048", begins=NOW - 300 * DAY, ends=NOW + 5 * DAY)
    new = identity("rsa-3072", begins=NOW - 5 * DAY, ends=NOW + 300 * DAY)
    both = (old.registered, new.registered)

    for order in permutations(both):
        for signer in (old, new):
            signed = Habit(key_info=key_info).sign(DOCUMENT, signer)
            assert fingerprint_of(signed, *order) == signer.fingerprint


def test_a_renewed_certificate_for_the_same_key_takes_over_when_the_old_one_ends() -> None:
    old = identity("rsa-2048", begins=NOW - 300 * DAY, ends=NOW - DAY)
    new = identity("rsa-2048", begins=NOW - 30 * DAY, ends=NOW + 300 * DAY)
    signed = Habit(key_info="none").sign(DOCUMENT, old)

    for order in permutations((old.registered, new.registered)):
        assert fingerprint_of(signed, *order) == new.fingerprint
    named = Habit().sign(DOCUMENT, old)
    assert finding_of(named, old.registered, new.registered).code == "certificate-expired"
