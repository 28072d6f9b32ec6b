"""Who is notified of an answer, in which form, by the register alone (R11)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from gateway.model.addressee import Addressee
from gateway.model.agreements import AgreementKind, AgreementUse
from gateway.model.answer import AnsweredDeclaration, AnswerKind, CustomsAnswer
from gateway.model.message import Operation
from gateway.model.parties import Account, Contract, Party, ReceiptForm, Role
from gateway.model.states import CustomsStatus, State
from gateway.rules.recipients import Recipients, recipients_of_answer, recipients_of_freed, recipients_of_use

NOW: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
BOTH: Final = (ReceiptForm.SINGLE_WINDOW, ReceiptForm.GATEWAY)
DISTRICT: Final = Contract(district="0200")


def party(name: str, role: Role, *forms: ReceiptForm, **more: Any) -> Party:
    account = Account(name=name, keys=(), receipts=forms or BOTH)
    return Party(code=name, scc=f"scc-{name}", name=name, roles=(role,), account=account, **more)


BROKER: Final = party("broker", Role.BROKER)
TRADER: Final = party("trader", Role.TRADER)
STORE: Final = party("store", Role.PREMISES, contracts=(DISTRICT,))
ASSOCIATION: Final = party("association", Role.ASSOCIATION)
DECLARATION: Final = AnsweredDeclaration(
    message="M1",
    account="broker",
    file_name="a.xml",
    reference="R1",
    state=State.DELIVERED,
    customs_status=CustomsStatus.NONE,
    seq_no="",
    entry_id="",
    operation=Operation.DECLARE,
    facts={"trader_code": "trader", "office": "0202", "goods_place": "A", "yard": "B"},
    uses=None,
    released_to=frozenset(),
    revision=1,
)
USED: Final = AgreementUse(number="N1", kind=AgreementKind.PER_SHIPMENT)


@dataclass(frozen=True)
class PartyRegister:
    """gateway.model.register.Parties over some parties."""

    parties: Sequence[Party]

    def party_of(self, account: str) -> Party | None:
        return next(
            (party for party in self.parties if party.account and party.account.name == account), None
        )

    def party_called(self, code: str) -> Party | None:
        return next((party for party in self.parties if party.is_called(code)), None)

    def in_role(self, role: Role) -> Sequence[Party]:
        return [party for party in self.parties if role in party.roles and party.account]


def answer(status: CustomsStatus | None, kind: AnswerKind = AnswerKind.BUSINESS) -> CustomsAnswer:
    return CustomsAnswer(
        kind=kind,
        family="f",
        client_reference="",
        seq_no="",
        entry_id="",
        status=status,
        code="P",
        note="",
        at=None,
    )


def recipients(
    *parties: Party,
    status: CustomsStatus = CustomsStatus.RELEASED,
    kind: AnswerKind = AnswerKind.BUSINESS,
    declaration: AnsweredDeclaration = DECLARATION,
) -> Recipients:
    return recipients_of_answer(answer(status, kind), declaration, status, PartyRegister(parties), NOW)


def accounts(to: Sequence[Addressee]) -> list[tuple[str, str]]:
    return [(recipient.account.name, recipient.concern.value) for recipient in to]


@pytest.mark.parametrize(
    ("forms", "relayed", "notified"),
    [
        ((ReceiptForm.SINGLE_WINDOW,), ("broker",), []),
        ((ReceiptForm.GATEWAY,), (), [("broker", "sender")]),
        (BOTH, ("broker",), []),
    ],
)
def test_a_sender_gets_an_answer_once_in_the_form_that_its_account_takes(
    forms: tuple[ReceiptForm, ...], relayed: tuple[str, ...], notified: list[tuple[str, str]]
) -> None:
    to = recipients(party("broker", Role.BROKER, *forms))
    assert (to.relayed, accounts(to.answer)) == (relayed, notified)


@pytest.mark.parametrize(
    ("forms", "relayed", "notified"),
    [
        ((ReceiptForm.SINGLE_WINDOW,), ("broker", "trader"), []),
        ((ReceiptForm.GATEWAY,), ("broker",), [("trader", "trader")]),
        (BOTH, ("broker", "trader"), [("trader", "trader")]),
    ],
)
def test_a_trader_gets_an_answer_in_each_form_that_its_account_takes(
    forms: tuple[ReceiptForm, ...], relayed: tuple[str, ...], notified: list[tuple[str, str]]
) -> None:
    to = recipients(BROKER, party("trader", Role.TRADER, *forms))
    assert (to.relayed, accounts(to.answer)) == (relayed, notified)


def test_answers_of_customs_go_to_an_account_that_is_no_longer_registered() -> None:
    assert recipients() == Recipients(relayed=("broker",), answer=())


def test_a_trader_is_notified_of_steps_and_refusals_and_of_no_successful_import() -> None:
    technical = AnswerKind.TECHNICAL
    assert recipients(BROKER, TRADER, status=CustomsStatus.IMPORTED, kind=technical).relayed == ("broker",)
    assert recipients(BROKER, TRADER, status=CustomsStatus.REFUSED, kind=technical).relayed == (
        "broker",
        "trader",
    )


def test_only_its_sender_is_notified_of_a_temporary_save() -> None:
    saved = replace(DECLARATION, operation=Operation.SAVE, uses=USED)
    to = recipients(BROKER, TRADER, STORE, ASSOCIATION, declaration=saved)
    assert to == Recipients(relayed=("broker",), answer=())


@pytest.mark.parametrize(
    ("places", "notified"), [((), 1), (("A",), 1), (("B",), 1), (("C", "B"), 1), (("C",), 0)]
)
def test_premises_are_notified_of_a_release_where_the_goods_may_be(
    places: tuple[str, ...], notified: int
) -> None:
    assert len(recipients(BROKER, replace(STORE, places=places)).release) == notified


@pytest.mark.parametrize(
    ("contract", "notified"),
    [
        (Contract(district="0200", until=date(2026, 11, 22)), 0),
        (Contract(district="0200", until=date(2026, 11, 23)), 1),
        (Contract(district="2200"), 0),
    ],
)
def test_premises_are_notified_if_their_contract_with_the_district_is_in_force_that_day(
    contract: Contract, notified: int
) -> None:
    assert len(recipients(BROKER, replace(STORE, contracts=(contract,))).release) == notified


@pytest.mark.parametrize(
    ("status", "declaration", "notified"),
    [
        (CustomsStatus.RELEASED, DECLARATION, 1),
        (CustomsStatus.CLOSED, DECLARATION, 0),
        (CustomsStatus.RELEASED, replace(DECLARATION, customs_status=CustomsStatus.DELETED), 0),
        (CustomsStatus.RELEASED, replace(DECLARATION, customs_status=CustomsStatus.REFUSED), 0),
        (CustomsStatus.RELEASED, replace(DECLARATION, released_to=frozenset({"store"})), 0),
    ],
)
def test_premises_are_notified_of_a_release_once_and_not_if_the_goods_must_stay(
    status: CustomsStatus, declaration: AnsweredDeclaration, notified: int
) -> None:
    assert len(recipients(BROKER, STORE, status=status, declaration=declaration).release) == notified


def test_association_and_sender_are_notified_that_a_refused_declaration_releases_its_agreement() -> None:
    uses = replace(DECLARATION, uses=USED)
    refused = recipients(BROKER, ASSOCIATION, status=CustomsStatus.REFUSED, declaration=uses)
    assert accounts(refused.freed) == [("association", "association"), ("broker", "sender")]
    assert recipients(BROKER, ASSOCIATION, declaration=uses).freed == ()
    assert recipients(BROKER, ASSOCIATION, status=CustomsStatus.REFUSED).freed == ()


def test_a_sender_that_takes_no_notices_of_the_gateway_is_not_notified_of_its_agreement() -> None:
    parties = PartyRegister([ASSOCIATION])
    plain = party("broker", Role.BROKER, ReceiptForm.SINGLE_WINDOW)
    assert recipients_of_freed(parties, plain) == recipients_of_use(parties)
    assert accounts(recipients_of_use(parties)) == [("association", "association")]
