"""A certificate that ends soon is told of a party that has none that lasts."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.cli.doctor import examine
from adapters.home.certificates import VALID, make_p256_pair
from gateway.model.parties import RegisteredCertificate
from tests.support.desk import NOW, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def certificate(desk: Desk, ends_in: timedelta, revoked: bool = False) -> RegisteredCertificate:
    _key, pem = make_p256_pair("a party", NOW + ends_in - VALID)
    return RegisteredCertificate(pem=pem.decode(), revoked_at=NOW if revoked else None)


def said(desk: Desk) -> tuple[bool, str]:
    (check,) = [each for each in examine(desk.home, NOW) if each["check"] == "parties' certificates"]
    return check["ok"], check["detail"]


def test_one_short_certificate_does_not_fail_a_party_that_has_a_good_one(desk: Desk) -> None:
    short, good = certificate(desk, timedelta(days=3)), certificate(desk, timedelta(days=300))
    for order in ((short, good), (good, short)):
        desk.change("broker-b", certificates=order)
        assert said(desk)[0]
    code = desk.party("broker-b").code
    for alone in ((short,), (short, certificate(desk, timedelta(days=300), revoked=True))):
        desk.change("broker-b", certificates=alone)
        well, detail = said(desk)
        assert not well
        assert detail.startswith(f"ending: {code} on ")
