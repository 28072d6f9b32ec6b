"""Only the pinned algorithms, keys of the accepted kinds and sizes, and values that are signatures at all."""

import pytest

from tests.support.keys import identity, xmlsec1_accepts
from tests.support.xml_signatures import C14N, DIGEST, DS, ENVELOPED, SIGNING, Habit, KeyInfo, finding_of

SIGNER = identity("rsa-2048")
DOCUMENT = '<m xmlns="urn:m"><head>good</head>{signature}</m>'


def fault_of(signed: str | bytes) -> str:
    return finding_of(signed, SIGNER.registered).code


@pytest.mark.parametrize("signing", ["rsa-sha1", "dsa-sha1", "hmac-sha256", "rsa-md5", "rsa-pss"])
def test_a_signature_algorithm_that_is_not_pinned_is_refused(signing: str) -> None:
    signed = Habit().sign(DOCUMENT, SIGNER).decode().replace(SIGNING["rsa-sha256"], SIGNING[signing])

    fault = finding_of(signed, SIGNER.registered)

    assert fault.code == "signature-algorithm"
    assert SIGNING[signing] in fault.en
    assert fault.place.line is not None


def test_a_valid_signature_with_sha1_is_refused() -> None:
    signed = Habit(digest="sha1").sign(DOCUMENT, SIGNER)

    assert xmlsec1_accepts(signed, SIGNER)
    assert fault_of(signed) == "signature-algorithm"
    signed = Habit(signing="rsa-sha1").sign(DOCUMENT, SIGNER)
    assert xmlsec1_accepts(signed, SIGNER)
    assert fault_of(signed) == "signature-algorithm"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DIGEST["sha256"], f"{DS}sha1"),
        (DIGEST["sha256"], "http://www.w3.org/2001/04/xmldsig-more#md5"),
        (C14N["1.0"], "http://www.w3.org/2010/xml-c14n2"),
        (C14N["1.0"], ""),
        (ENVELOPED, f"{DS}base64"),
    ],
)
def test_a_digest_or_canonicalisation_or_transform_that_is_not_pinned_is_refused(old: str, new: str) -> None:
    signed = Habit().sign(DOCUMENT, SIGNER).decode()

    assert fault_of(signed.replace(f'"{old}"', f'"{new}"')) == "signature-algorithm"


def test_parameters_of_an_algorithm_are_refused() -> None:
    method = f'SignatureMethod Algorithm="{SIGNING["rsa-sha256"]}"'
    signed = Habit().sign(DOCUMENT, SIGNER).decode()
    truncated = signed.replace(
        f"<ds:{method}/>",
        f"<ds:{method}><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
    )

    assert fault_of(truncated) == "signature-form"


def test_a_prefix_list_where_none_may_stand_is_refused() -> None:
    signed = Habit(c14n="1.0", reference="1.0", prefixes="a").sign(DOCUMENT, SIGNER)
    assert fault_of(signed) == "signature-form"


def test_the_default_namespace_in_a_prefix_list_is_refused() -> None:
    signed = Habit(c14n="exclusive", reference="exclusive", prefixes="#default").sign(DOCUMENT, SIGNER)
    assert xmlsec1_accepts(signed, SIGNER)
    assert fault_of(signed) == "signature-algorithm"


def test_a_relative_namespace_that_cannot_be_canonicalised_is_refused_before_the_signature_is_looked_at() -> (
    None
):
    signed = Habit().sign(DOCUMENT, SIGNER).decode()
    assert fault_of(signed.replace('"urn:m"', '"m"')) == "xml-malformed"


@pytest.mark.parametrize("key_info", ["certificate", "none"])
def test_a_key_that_is_too_short_is_refused(key_info: KeyInfo) -> None:
    weak = identity("rsa-1024")
    signed = Habit(key_info=key_info).sign(DOCUMENT, weak)
    assert finding_of(signed, weak.registered).en.endswith("RSA 1024.")


def test_another_curve_is_refused() -> None:
    signer = identity("p-521")
    signed = Habit(signing="ecdsa-sha512").sign(DOCUMENT, signer)
    assert xmlsec1_accepts(signed, signer)
    assert finding_of(signed, signer.registered).code == "signature-algorithm"


@pytest.mark.parametrize("value", ["", "AAAA", "evil!", "A" * 86 + "==", "A" * 342 + "=="])
@pytest.mark.parametrize("kind", ["rsa-2048", "p-256"])
def test_a_value_that_is_no_signature_is_invalid(kind: str, value: str) -> None:
    signer = identity("p-256") if kind == "p-256" else SIGNER
    signed = (
        Habit(signing="ecdsa-sha256" if kind == "p-256" else "rsa-sha256").sign(DOCUMENT, signer).decode()
    )
    begin, end = signed.index("<ds:SignatureValue>") + 19, signed.index("</ds:SignatureValue>")

    assert finding_of(signed[:begin] + value + signed[end:], signer.registered).code == "signature-invalid"
