"""The long-term mandates of a new home: one between each broker and each trader."""

from datetime import datetime
from functools import partial
from itertools import product
from typing import Final

from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.apply import apply_notice
from adapters.store.database import Database, Transaction
from adapters.store.read.parties import registered
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
)
from gateway.model.blobs import Package
from gateway.model.china import china_date
from gateway.model.message import Arrival
from gateway.model.parties import Party, Role
from gateway.rules.agency_coverage import DECLARING

ACTOR: Final = "init"


def grant_mandates(home: Home, database: Database, now: datetime) -> None:
    """Registers them as if the association had sent them: each with a notice signed by the association's key
    and stored like a package. Does nothing if no association has an account."""
    with database.engine.connect() as reader:
        parties = list(registered(reader).values())
    association = next((each for each in parties if Role.ASSOCIATION in each.roles and each.account), None)
    if association is None or association.account is None:
        return
    client = home.path / "clients" / association.account.name
    signer = XadesSigner((client / "sign.key").read_bytes(), (client / "sign.crt").read_text(), utc_now)
    brokers = [each for each in parties if Role.BROKER in each.roles]
    traders = [each for each in parties if Role.TRADER in each.roles]
    pairs = [(broker, trader) for broker, trader in product(brokers, traders) if broker != trader]
    for serial, (broker, trader) in enumerate(pairs, start=1):
        notice = _notice(serial, trader, broker, now)
        body = signer.sign(build_notice(notice))
        package = Package.small(body)
        arrival = Arrival(
            id="",
            account=association.account.name,
            channel=ACTOR,
            name=f"{notice.id}.xml",
            sha256=package.sha256,
            size=package.size,
            received_at=now,
        )
        change = AgreementChange(after=notice.agreement, act=notice.act, at=now, reason="", seen=0)
        database.submit(partial(_tell, change, arrival, body, now)).result()


def _tell(
    change: AgreementChange, arrival: Arrival, body: bytes, now: datetime, transaction: Transaction
) -> None:
    put_package(transaction, arrival.sha256, body)
    apply_notice(transaction, change, arrival, ACTOR, now)


def _notice(serial: int, trader: Party, broker: Party, now: datetime) -> AgreementNotice:
    day = china_date(now)
    number = f"{day.year}{serial:07}"  # mandate numbers have 11 digits, as on the paper form
    agreement = Agreement(
        number=number,
        kind=AgreementKind.LONG_TERM,
        trader=trader.code,
        broker=broker.code,
        state=AgreementState.IN_FORCE,
        # The samples are dated in the first days of the month in which this was written.
        valid_from=day.replace(month=1, day=1),
        services=DECLARING,
    )
    return AgreementNotice(
        id=f"{number}-{Act.CONFIRMED}",
        act=Act.CONFIRMED,
        at=now,
        agreement=agreement,
        proposed_by=AgreementSide.BROKER,
    )
