"""A certificate that ends soon is told of a party that has none that lasts."""

from datetime import timedelta

from adapters.cli.doctor import examine
from adapters.home.certificates import VALID, make_p256_pair
from gateway.model.parties import RegisteredCertificate
from tests.support.harness import NOW, Harness


def certificate(harness: Harness, ends_in: timedelta, revoked: bool = False) -> RegisteredCertificate:
    _key, pem = make_p256_pair("a party", NOW + ends_in - VALID)
    return RegisteredCertificate(pem=pem.decode(), revoked_at=NOW if revoked else None)


def certificate_check(harness: Harness) -> tuple[bool, str]:
    (check,) = [check for check in examine(harness.home, NOW) if check["check"] == "parties' certificates"]
    return check["ok"], check["detail"]


def test_one_short_certificate_does_not_fail_a_party_that_has_a_good_one(harness: Harness) -> None:
    short, good = certificate(harness, timedelta(days=3)), certificate(harness, timedelta(days=300))
    for order in ((short, good), (good, short)):
        harness.change("broker-b", certificates=order)
        assert certificate_check(harness)[0]
    code = harness.party("broker-b").code
    for alone in ((short,), (short, certificate(harness, timedelta(days=300), revoked=True))):
        harness.change("broker-b", certificates=alone)
        well, detail = certificate_check(harness)
        assert not well
        assert detail.startswith(f"ending: {code} on ")
