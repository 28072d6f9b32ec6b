"""The brokers' association for tests: its notices, signed with its own key from the home."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.apply import apply_notice
from adapters.store.database import Database, Transaction
from adapters.store.write.packages import put_package
from gateway.formats.agreement_notices import build_notice
from gateway.formats.signing import XadesSigner
from gateway.model.agreements import (
    Act,
    Agreement,
    AgreementChange,
    AgreementKind,
    AgreementNotice,
    AgreementSide,
    AgreementState,
    NoticeAct,
    state_after,
)
from gateway.model.message import Arrival
from tests.support.declarations import AGREEMENT as AGREEMENT_CODE
from tests.support.declarations import Document, enterprise

ACCOUNT: Final = "association"
AT: Final = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)


def agreement(number: str = "195200016172325", **terms: Any) -> Agreement:
    """For one shipment of trader-a by broker-aa, in force; `terms` change it."""
    plain = Agreement(
        number=number,
        kind=AgreementKind.PER_SHIPMENT,
        trader=enterprise("trader-a").code,
        broker=enterprise("broker-aa").code,
        state=AgreementState.IN_FORCE,
        valid_from=date(2026, 1, 1),
    )
    return replace(plain, **terms)


def signed_notice(
    home: Home, terms: Agreement, act: NoticeAct = Act.CONFIRMED, account: str = ACCOUNT, **fields: Any
) -> bytes:
    """The notice of an act, signed by the key of `account`; the agreement's state is what it leads to."""
    notice = AgreementNotice(
        id=fields.pop("id", f"{terms.number}-{act}"),
        act=act,
        at=fields.pop("at", AT),
        agreement=replace(terms, state=state_after(act)),
        proposed_by=AgreementSide.BROKER,
        **fields,
    )
    client = home.path / "clients" / account
    signer = XadesSigner((client / "sign.key").read_bytes(), (client / "sign.crt").read_text(), utc_now)
    return signer.sign(build_notice(notice))


def agreement_document(number: str) -> Document:
    """How a declaration shows an agreement."""
    return Document(code=AGREEMENT_CODE, number=number)


def grant(home: Home, database: Database, terms: Agreement) -> None:
    """Registers a long-term mandate as if the association had told of it, its signed notice kept beside."""
    mandate = replace(terms, kind=AgreementKind.LONG_TERM)
    body = signed_notice(home, mandate)
    sha256, size = hashlib.sha256(body).hexdigest(), len(body)
    arrival = Arrival(
        id="", account=ACCOUNT, channel="tests", name="mandate.xml", sha256=sha256, size=size, received_at=AT
    )
    change = AgreementChange(after=mandate, act=Act.CONFIRMED, at=AT, reason="", seen=0)

    def tell(transaction: Transaction) -> None:
        put_package(transaction, sha256, body)
        apply_notice(transaction, change, arrival, ACCOUNT, AT)

    database.submit(tell).result()
