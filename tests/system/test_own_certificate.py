"""A served node whose certificate ends and is exchanged, whose key fits none, or whose clock is behind."""

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.home.certificates import VALID, make_p256_pair
from adapters.store.database import Database, sqlite_engine
from adapters.store.tables.messages import messages, receipts
from gateway.model.states import State
from tests.support.declarations import owing_nothing
from tests.support.invariants import violations
from tests.support.keys import xmlsec1_trusts
from tests.support.rendering import render
from tests.support.served import Gateway

BROKER = "broker-aa"


def pair(gateway: Gateway, began: datetime) -> None:
    """A new pair in the place of the present one."""
    key, pem = make_p256_pair("gateway", began)
    gateway.home.signing_key.write_bytes(key)
    gateway.home.certificate.write_bytes(pem)


def states(gateway: Gateway) -> list[str]:
    with gateway.reading() as store:
        own = select(messages.c.state).where(messages.c.kind == "inbound").order_by(messages.c.seq)
        return list(store.execute(own).scalars())


def signed(gateway: Gateway) -> list[bytes]:
    with gateway.reading() as store:
        ours = select(receipts.c.body).where(receipts.c.name.like("Gateway%")).order_by(receipts.c.id)
        return list(store.execute(ours).scalars())


def fast(gateway: Gateway) -> None:
    """As a clock that was an hour fast leaves the log."""
    with closing(Database(sqlite_engine(gateway.home.database))) as database:
        later = datetime.now(UTC) + timedelta(hours=1)
        database.submit(lambda to: to.log("m", later, "x", "x", State.HELD)).result()


def test_a_node_with_an_expired_certificate_receives_messages_and_judges_them_once_it_has_a_valid_one(
    tmp_path: Path,
) -> None:
    gateway = Gateway(tmp_path)
    now = datetime.now(UTC)
    with gateway:
        gateway.send(BROKER, "R1.xml", render(owing_nothing("R1")))
        gateway.until(lambda: states(gateway) == [State.CLOSED])
        assert gateway.stop() == 0
        (old,) = signed(gateway)
        first = gateway.home.keys / "gateway-until-2026-11-30.crt"
        shutil.copyfile(gateway.home.certificate, first)

        pair(gateway, now - VALID * 2)
        gateway.start()
        gateway.send(BROKER, "R2.xml", render(owing_nothing("R2")))
        gateway.until(lambda: "unfit" in gateway.cli("alarms", "list", "--json").stdout)
        assert states(gateway) == [State.CLOSED, State.RECEIVED]
        assert len(signed(gateway)) == 1
        assert "ended on" in gateway.cli("doctor").stdout

        pair(gateway, now)
        assert gateway.cli("reload").returncode == 0
        gateway.until(lambda: states(gateway) == [State.CLOSED, State.CLOSED])
        new = signed(gateway)[-1]
        certificate = gateway.home.certificate.read_text()
        assert xmlsec1_trusts(new, certificate, datetime.now(UTC))
        assert not xmlsec1_trusts(old, certificate, datetime.now(UTC))
        file = tmp_path / "old.xml"
        file.write_bytes(old)
        verify = gateway.cli("receipts", "verify", str(file), "--certificate", str(first))
        assert (verify.returncode, verify.stdout.split()[0]) == (0, "VALID")
        audit = gateway.cli("audit", "verify")
        assert (audit.returncode, audit.stdout.split()[0]) == (0, "sound:")
        assert gateway.stop() == 0
        assert violations(gateway.home) == []


@pytest.mark.parametrize("broken", ["another's key", "unreadable key", "unreadable certificate"])
def test_a_pair_that_cannot_be_used_ends_serve_with_2_and_one_line(tmp_path: Path, broken: str) -> None:
    gateway = Gateway(tmp_path)
    if broken == "another's key":
        gateway.home.signing_key.write_bytes(make_p256_pair("gateway", datetime.now(UTC))[0])
    else:
        path = gateway.home.signing_key if broken == "unreadable key" else gateway.home.certificate
        path.write_text("not PEM")
    result = gateway.cli("serve")
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert "keys/gateway" in result.stderr


def test_a_node_behind_its_log_goes_on_when_an_operator_accepts_the_clock(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with gateway:
        gateway.send(BROKER, "R1.xml", render(owing_nothing("R1")))
        gateway.until(lambda: states(gateway) == [State.CLOSED])
        assert gateway.stop() == 0
        fast(gateway)
        gateway.start()
        gateway.send(BROKER, "R2.xml", render(owing_nothing("R2")))
        gateway.until(lambda: "unfit" in gateway.cli("alarms", "list", "--json").stdout)
        assert states(gateway) == [State.CLOSED, State.RECEIVED]
        assert gateway.cli("clock", "accept", "--reason", "it was fast").returncode == 0
        gateway.until(lambda: states(gateway) == [State.CLOSED, State.CLOSED])
