"""Nothing is judged or signed outside the certificate's validity, or with a clock behind the log."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.xades.xades import XAdESSigner
from sqlalchemy import select, text

from adapters.home.certificates import VALID, make_p256_pair, make_rsa_pair
from adapters.home.clock import utc_now
from adapters.store.database import Database, Transaction, sqlite_engine
from adapters.store.migrate import migrate
from adapters.store.read.store_status import BEHIND, StoreStatus, accept_clock
from adapters.store.tables.messages import events
from gateway.formats import xml
from gateway.formats.signing import XadesSigner
from gateway.model.faults import JudgementDeferred
from gateway.model.states import State
from tests.support.harness import NOW, Harness, Row
from tests.support.keys import identity
from tests.support.operating import BROKER, gateway, refused


def standing(harness: Harness) -> StoreStatus:
    return StoreStatus(harness.database.engine, harness.home.certificate.read_text)


def newest(harness: Harness) -> Row:
    return max(harness.rows(events), key=lambda row: row["sequence"])


def checks(harness: Harness) -> dict[str, str]:
    """What doctor finds wrong."""
    checks = gateway(harness, "doctor", "--json").json
    return {check["check"]: check["detail"] for check in checks if not check["ok"]}


@dataclass(frozen=True)
class Off:
    """By how much a certificate is off: begun that long ago, or to begin then."""

    by: timedelta
    why: str


Make = Callable[[str, datetime], tuple[bytes, bytes]]

ENDED = Off(-VALID - timedelta(hours=1), "ended on")
TO_COME = Off(timedelta(days=1), "begins on")


@pytest.mark.parametrize("off", [ENDED, TO_COME], ids=["ended", "not yet begun"])
@pytest.mark.parametrize("make", [make_p256_pair, make_rsa_pair])
def test_nothing_is_signed_outside_the_validity_of_the_certificate(make: Make, off: Off) -> None:
    key, pem = make("gateway", utc_now() + off.by)
    with pytest.raises(JudgementDeferred, match=off.why):
        XadesSigner(key, pem.decode(), utc_now).sign(xml.trusted(b'<a xmlns="urn:customs-edi-gateway:1"/>'))


def test_a_key_with_a_pass_phrase_is_refused_with_a_reason() -> None:
    key, pem = make_p256_pair("gateway", utc_now())
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    with pytest.raises(ValueError, match="pass phrase"):
        XadesSigner(locked, pem.decode(), utc_now)


def test_a_node_is_fit_while_the_certificate_is_valid_and_no_longer(harness: Harness) -> None:
    pem = make_p256_pair("gateway", NOW)[1].decode()
    status = StoreStatus(harness.database.engine, lambda: pem)
    assert "begins on" in status.why_not(NOW - timedelta(days=1))
    assert "ended on" in status.why_not(NOW + VALID + timedelta(seconds=1))
    assert status.why_not(NOW + timedelta(days=1)) == ""


def test_a_clock_more_than_a_minute_behind_the_newest_event_is_reported_until_it_is_right(
    harness: Harness,
) -> None:
    refused(harness)
    last = newest(harness)["at"]
    status = standing(harness)
    assert status.why_not(last - BEHIND) == ""
    assert "behind the newest event" in status.why_not(last - BEHIND - timedelta(microseconds=1))
    assert status.why_not(last) == ""


def test_events_that_a_slow_clock_writes_do_not_hide_that_it_is_behind(harness: Harness) -> None:
    refused(harness, "R1")
    harness.start -= timedelta(minutes=30)
    harness.received(BROKER, "R2.xml", b"<a/>")
    assert "behind the newest event" in standing(harness).why_not(harness.start + timedelta(seconds=9))


def test_an_operator_takes_the_clock_as_it_is_by_an_event_with_a_reason(harness: Harness) -> None:
    refused(harness)
    result = gateway(harness, "clock", "accept", "--reason", "tests")
    assert (result.code, "not behind" in result.err) == (1, True)
    harness.now -= timedelta(hours=2)
    assert "clock" in checks(harness)
    result = gateway(harness, "clock", "accept", "--reason", "it was fast", "--json")
    assert (result.code, "behind the newest event" in result.json["was"]) == (0, True)
    (event,) = harness.rows(events, event="clock_accepted")
    assert '"reason": "it was fast"' in event["detail"]
    assert "clock" not in checks(harness)
    assert standing(harness).why_not(harness.now) == ""


def test_a_change_that_is_undone_leaves_the_latest_time_where_it_was(harness: Harness) -> None:
    refused(harness)
    early = harness.start - timedelta(hours=3)

    def undone(transaction: Transaction) -> None:
        accept_clock(transaction, "operator", "tests", early)
        raise RuntimeError

    before = newest(harness)["latest"]
    with pytest.raises(RuntimeError):
        harness.database.submit(undone).result()
    assert newest(harness)["latest"] == before
    assert standing(harness).why_not(early) != ""


def test_a_home_of_the_release_before_knows_the_latest_time_of_its_log(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    migrate(path, "0003")
    with closing(Database(sqlite_engine(path))) as database:
        row = "INSERT INTO events VALUES (:sequence, 'm', :at, 'received', 'a', 'received', '{}', 'x')"
        with database.engine.begin() as writer:
            for sequence, at in enumerate((1, 3, 2), 1):
                writer.execute(text(row), {"sequence": sequence, "at": at * 10**6})
        migrate(path)
        now = datetime.fromtimestamp(2, UTC)
        database.submit(lambda to: to.log("m", now, "x", "x", State.HELD)).result()
        with database.engine.connect() as reader:
            latest = reader.execute(select(events.c.latest).order_by(events.c.sequence)).scalars().all()
    assert latest == [None, None, datetime.fromtimestamp(3, UTC), datetime.fromtimestamp(3, UTC)]


def test_doctor_names_a_certificate_out_of_its_time_and_a_key_of_another(harness: Harness) -> None:
    for make, off, why in ((make_p256_pair, ENDED, "ended on"), (make_p256_pair, TO_COME, "begins on")):
        key, pem = make("gateway", utc_now() + off.by)
        harness.home.signing_key.write_bytes(key)
        harness.home.certificate.write_bytes(pem)
        assert why in checks(harness)["gateway certificate"]
    harness.home.signing_key.write_bytes(make_p256_pair("gateway", utc_now())[0])
    assert "does not belong" in checks(harness)["gateway certificate"]
    harness.home.signing_key.write_bytes(b"no key")
    assert "gateway certificate" in checks(harness)


def test_a_receipt_that_was_signed_outside_the_validity_is_not_valid(
    harness: Harness, tmp_path: Path
) -> None:
    decision = harness.judgement(harness.received(BROKER, "R1.xml", b"<a/>"))
    receipt = next(receipt for receipt in decision.receipts if receipt.name.startswith("Gateway_"))
    file, pem = tmp_path / "receipt.xml", harness.home.certificate
    file.write_bytes(receipt.body)
    good = gateway(harness, "receipts", "verify", str(file), "--certificate", str(pem))
    assert good.code == 0

    ended = identity("rsa-2048", "gateway", ends=datetime(2021, 1, 1, tzinfo=UTC))
    signer = XAdESSigner(c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0)
    signed = signer.sign(xml.parse(b"<GatewayReceipt/>"), key=ended.key, cert=[ended.certificate])
    file.write_bytes(etree.tostring(signed))
    pem.write_text(ended.certificate_pem)
    bad = gateway(harness, "receipts", "verify", str(file), "--certificate", str(pem))
    assert (bad.code, bad.out.split("\n")[0]) == (1, "NOT VALID  certificate-expired")
