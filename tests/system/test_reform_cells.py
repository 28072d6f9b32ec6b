"""Every cell of the reform's tables, driven through a served gateway and its customs (docs/reform.md).

Class of trader × class of broker × documents due × paper or paperless × handling. What is expected stands
here in full, and is not asked of the code.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, product
from typing import Any, Final

import pytest
from sqlalchemy import select

from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.database import Database, sqlite_engine
from adapters.store.read.parties import registered
from adapters.store.tables.messages import messages, obligations
from adapters.store.write.parties import write
from gateway.model.parties import (
    Account,
    ClassPeriod,
    Contract,
    Party,
    PartyChange,
    Period,
    Role,
    TraderClass,
)
from gateway.model.states import State
from tests.support.association import agreement, grant
from tests.support.declarations import CONTRACT, INVOICE, Declaration, Document, Enterprise
from tests.support.pdfs import pdf
from tests.support.rendering import packed
from tests.support.served import Gateway
from tests.support.sftp_client import Login

CLASSES: Final = ("AA", "A-producing", "A", "B", "C", "D")
ELIGIBLE: Final = ("AA", "A-producing", "A", "B")
KEEPS: Final = "AA keeping its papers"
DUE: Final = {
    KEEPS: "kept",
    "AA": "after-release",
    "A-producing": "after-release",
    "A": "with",
    "B": "with",
    "C": "with",
    "D": "with",
}
# The risk (R8): the row of the trader's class, the column of the broker's.
RISK: Final = {
    "AA": dict(zip(CLASSES, ("low", "low", "low", "unknown", "high", "high"), strict=True)),
    "A-producing": dict(zip(CLASSES, ("low", "low", "low", "unknown", "high", "high"), strict=True)),
    "A": dict.fromkeys(CLASSES, "unknown"),
    "B": dict.fromkeys(CLASSES, "unknown"),
    "C": dict.fromkeys(CLASSES, "high"),
    "D": dict.fromkeys(CLASSES, "high"),
}
INSPECTION: Final = {
    "AA": "low",
    "A-producing": "low",
    "A": "normal",
    "B": "normal",
    "C": "high",
    "D": "high",
}
# How a reference begins that forces a handling, and where customs then stands with the declaration.
HANDLING: Final = {
    "RELEASED-": "closed",
    "SUPPLEMENT-": "supplement_asked",
    "PAPER-": "paper_asked",
    "INSPECT-": "inspection",
    "RETURNED-": "refused",
}
# Without one, the risk decides: review by hand waits as it was stored.
BY_RISK: Final = {"low": "closed", "unknown": "closed", "high": "stored"}
PAPERLESS, PAPER = "M", "0"


@dataclass(frozen=True)
class Cell:
    """One declaration; `broker` is None where the trader declares itself."""

    reference: str
    trader: str
    broker: str | None
    entry_type: str
    handling: str
    documents: bool = True

    @property
    def trader_class(self) -> str:
        return "AA" if self.trader == KEEPS else self.trader

    @property
    def broker_class(self) -> str:
        return self.trader_class if self.broker is None else self.broker

    @property
    def risk(self) -> str:
        return RISK[self.trader_class][self.broker_class]

    @property
    def faults(self) -> list[str]:
        if self.entry_type == PAPER:
            return []
        classes = {self.trader_class, self.broker_class}
        due = DUE[self.trader] == "with" and not self.documents
        return ["documents-due"] * due + ["paperless-class"] * (not classes <= set(ELIGIBLE))

    @property
    def customs_status(self) -> str:
        if self.faults:
            return "none"
        return HANDLING[self.handling] if self.handling else BY_RISK[self.risk]

    @property
    def due(self) -> str:
        return "kept" if self.entry_type == PAPER else DUE[self.trader]


def cells() -> list[Cell]:
    numbers = count(1)
    made = [
        Cell(f"{handling}{next(numbers):05}", trader, broker, entry_type, handling)
        for trader, broker, entry_type, handling in product(
            (*CLASSES, KEEPS), (None, *CLASSES), (PAPERLESS, PAPER), ("", *HANDLING)
        )
    ]
    return made + [
        Cell(f"{next(numbers):05}", trader, broker, entry_type, "", documents=False)
        for trader, broker, entry_type in product((*CLASSES, KEEPS), (None, "A"), (PAPERLESS, PAPER))
    ]


def enterprise(name: str, serial: int, kind: str) -> Enterprise:
    """An enterprise of its own; `kind` is the sixth digit of its code (8: customs broker)."""
    organisation = with_check(f"MADE{serial:04}", (3, 7, 9, 10, 5, 8, 4, 2), 11, "0123456789X")
    scc = with_check(
        f"91120116{organisation}", tuple(3**place % 31 for place in range(17)), 31, SCC_CHARACTERS
    )
    return Enterprise(code=f"12079{kind}{serial:04}", scc=scc, name=f"{name}试验有限公司{serial}")


SCC_CHARACTERS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def with_check(text: str, weights: tuple[int, ...], modulus: int, characters: str) -> str:
    """The code with its check character: GB 11714 (modulus 11, letters count from 10), GB 32100 (31)."""
    values = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" if modulus == 11 else characters
    total = sum(values.index(character) * weight for character, weight in zip(text, weights, strict=True))
    return text + characters[(modulus - total % modulus) % modulus]


TRADERS: Final = {
    name: enterprise("贸易", serial, "4") for serial, name in enumerate((*CLASSES, KEEPS), start=1)
}
BROKERS: Final = {name: enterprise("报关", serial, "8") for serial, name in enumerate(CLASSES, start=11)}


def party(enterprise: Enterprise, role: Role, name: str, keys: tuple[str, ...]) -> Party:
    return Party(
        code=enterprise.code,
        scc=enterprise.scc,
        name=enterprise.name,
        roles=(role,),
        classes=(ClassPeriod(trader_class=TraderClass("AA" if name == KEEPS else name)),),
        contracts=(Contract(district="0200"),),
        keeps_papers=(Period(),) if name == KEEPS else (),
        account=Account(name=account(enterprise), keys=keys),
    )


def account(enterprise: Enterprise) -> str:
    return f"t{enterprise.code}"


def register(home: Home) -> None:
    """Traders and brokers of every class, with mandates between them all, that log in as broker-aa does."""
    database = Database(sqlite_engine(home.database))
    with database.engine.connect() as reader:
        register = registered(reader)
    (like,) = (
        party.account for party in register.values() if party.account and party.account.name == "broker-aa"
    )
    parties = [party(enterprise, Role.TRADER, name, like.keys) for name, enterprise in TRADERS.items()]
    parties += [party(enterprise, Role.BROKER, name, like.keys) for name, enterprise in BROKERS.items()]
    changes = [PartyChange(before=None, after=party) for party in parties]
    database.submit(lambda to: write(to, changes, "tests", "", utc_now())).result()
    for serial, (trader, broker) in enumerate(product(TRADERS.values(), BROKERS.values())):
        grant(home, database, agreement(f"9{serial:010}", trader=trader.code, broker=broker.code))
    database.close()


def declaration(cell: Cell) -> Declaration:
    trader = TRADERS[cell.trader]
    own = (INVOICE, CONTRACT) if cell.documents else ()
    return Declaration(
        reference=cell.reference,
        agent=trader if cell.broker is None else BROKERS[cell.broker],
        trader=trader,
        entry_type=cell.entry_type,
        documents=tuple(Document(code=code, body=pdf()) for code in own),
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What the store has of each declaration when customs has said all that it will."""
    gateway = Gateway(tmp_path_factory.mktemp("cells"))
    register(gateway.home)
    all_cells = cells()
    with gateway:
        for sender in (*TRADERS.values(), *BROKERS.values()):
            own = [cell for cell in all_cells if declaration(cell).agent == sender]
            login = replace(gateway.login("broker-aa"), account=account(sender))
            send(login, own)
        gateway.until(lambda: settled(gateway, all_cells), 300)
        yield read(gateway)


def send(login: Login, own: list[Cell]) -> None:
    with login.session() as client:
        for cell in own:
            name = f"/OutBox/{cell.reference}.zip"
            with client.open(f"{name}.tmp", "wb") as file:
                file.write(packed(declaration(cell)))
            client.rename(f"{name}.tmp", name)


def settled(gateway: Gateway, expected: list[Cell]) -> bool:
    rows = read(gateway)
    return all(
        cell.reference in rows and rows[cell.reference]["customs_status"] == cell.customs_status
        for cell in expected
        if not cell.faults
    ) and all(rows.get(cell.reference, {}).get("state") != State.RECEIVED for cell in expected)


def read(gateway: Gateway) -> dict[str, dict[str, Any]]:
    with gateway.reading() as reader:
        rows = reader.execute(
            select(messages, obligations.c.due, obligations.c.missing)
            .outerjoin(obligations, obligations.c.message == messages.c.id)
            .where(messages.c.kind == "inbound")
        )
        return {row.reference: dict(row._mapping) for row in rows}


def named(cell: Cell) -> str:
    who = "self" if cell.broker is None else cell.broker
    way = "paper" if cell.entry_type == PAPER else "paperless"
    without = "" if cell.documents else "-without-documents"
    return f"{cell.trader}-{who}-{way}-{cell.handling or 'by-risk'}{without}".replace(" ", "_")


@pytest.mark.parametrize("cell", cells(), ids=named)
def test_a_cell_of_the_reform_is_judged_and_handled_as_its_tables_say(
    cell: Cell, outcomes: dict[str, dict[str, Any]]
) -> None:
    row = outcomes[cell.reference]
    faults = sorted({finding["code"] for finding in row["findings"] if finding["severity"] == "error"})
    assert faults == cell.faults
    assert (row["state"] == State.REJECTED) == bool(cell.faults)
    assert row["customs_status"] == cell.customs_status
    if cell.faults:
        return
    assert (row["hint"]["risk"], row["hint"]["inspection"]) == (cell.risk, INSPECTION[cell.trader_class])
    assert row["due"] == cell.due
    if cell.entry_type == PAPERLESS:
        assert row["missing"] == ([] if cell.documents else [INVOICE, CONTRACT])
    assert (row["agreement"] is None) == (cell.broker is None)
