"""Whether a mandate or agreement covers a brokered declaration (docs/reform.md, R13)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from gateway.model.agreements import STATES_ZH, Agreement, AgreementKind, AgreementState, RegisteredAgreement
from gateway.model.china import day_zh
from gateway.model.faults import Fault, Finding, finding
from gateway.model.trade_words import DIRECTIONS_ZH, amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """The values of a brokered declaration that an agreement must cover. `goods` are the tariff codes of its
    lines, `currency` is empty where the lines have several."""

    message: str
    trader: str
    broker: str
    goods: tuple[str, ...]
    direction: str
    office: str
    value: Decimal | None
    currency: str
    day: date


class Reason(NamedTuple):
    """One reason why an agreement does not cover a shipment, in both languages."""

    en: str
    zh: str


DECLARING: Final = "A"  # of the services: fill in and declare, on the association's paper form


def why_not(agreement: Agreement, shipment: Shipment) -> Iterator[Reason]:
    """The reasons why an agreement does not cover a shipment; none where it does."""
    if (agreement.trader, agreement.broker) != (shipment.trader, shipment.broker):
        yield Reason("other parties", "委托方或被委托方与报关单不一致")
        return  # the sender must not learn its terms: numbers can be guessed
    spent = agreement.state is AgreementState.USED and agreement.used_by != shipment.message
    if spent:
        yield Reason("used by another declaration", "已用于另一份报关单")
    elif agreement.state not in (AgreementState.IN_FORCE, AgreementState.USED):
        yield Reason(str(agreement.state), STATES_ZH[agreement.state])
    yield from _beyond(agreement, shipment)


def _beyond(agreement: Agreement, shipment: Shipment) -> Iterator[Reason]:
    """The terms of an agreement or mandate that the shipment does not meet."""
    if agreement.services and DECLARING not in agreement.services:
        yield Reason(
            f"services {agreement.services}", f"委托内容（{agreement.services}）不含填单申报（{DECLARING}）"
        )
    yield from _out_of_date(agreement, shipment)
    if agreement.direction and agreement.direction != shipment.direction:
        yield Reason(
            f"direction {agreement.direction}",
            f"限{DIRECTIONS_ZH.get(agreement.direction, agreement.direction)}",
        )
    if agreement.offices and shipment.office not in agreement.offices:
        offices = ", ".join(agreement.offices)
        yield Reason(f"customs office {offices}", f"限 {'、'.join(agreement.offices)} 海关申报")
    # Of several goods on one entry an agreement names only the one with the highest tax.
    if agreement.goods and not any(
        line.startswith(prefix) for line in shipment.goods for prefix in agreement.goods
    ):
        goods = ", ".join(agreement.goods)
        goods_zh = "、".join(agreement.goods)
        yield Reason(f"goods {goods}", f"限商品编号 {goods_zh} 开头的商品，报关单中没有")
    if agreement.value is not None and not _within(agreement.value, agreement.currency, shipment):
        limit = f"{agreement.value} {agreement.currency}".rstrip()
        comparable = shipment.value is not None and agreement.currency in ("", shipment.currency)
        limit_zh = amount(agreement.value, agreement.currency)
        zh = (
            f"总价超过协议金额 {limit_zh}"
            if comparable
            else f"总价未申报或币制不同，无法与协议金额 {limit_zh} 比较"
        )
        yield Reason(f"value {limit}", zh)


def _within(limit: Decimal, currency: str, shipment: Shipment) -> bool:
    """Whether the shipment's value is at most `limit`. A value that is missing, or in another currency, is
    not: otherwise any limit could be evaded."""
    if shipment.value is None or (currency and currency != shipment.currency):
        return False
    return shipment.value <= limit


def _out_of_date(agreement: Agreement, shipment: Shipment) -> Iterator[Reason]:
    if shipment.day < agreement.valid_from:
        yield Reason(f"not before {agreement.valid_from}", f"{day_zh(agreement.valid_from)}起才生效")
    if agreement.valid_until is not None and shipment.day > agreement.valid_until:
        yield Reason(f"until {agreement.valid_until}", f"已于{day_zh(agreement.valid_until)}到期")


def why_not_under(mandate: Agreement, shipment: Shipment, *, may_go_beyond: bool) -> Iterator[Reason]:
    """The reasons why an agreement for this shipment cannot be made under a mandate. The mandate's dates
    always count, its other terms only where agreements may not go beyond them."""
    if (mandate.trader, mandate.broker) != (shipment.trader, shipment.broker):
        yield _of_mandate(mandate, Reason("other parties", "委托方或被委托方与报关单不一致"))
        return
    if mandate.state is not AgreementState.IN_FORCE:
        yield _of_mandate(mandate, Reason(str(mandate.state), STATES_ZH[mandate.state]))
    terms = _out_of_date if may_go_beyond else _beyond
    for reason in terms(mandate, shipment):
        yield _of_mandate(mandate, reason)


def why_none(mandates: Iterable[Agreement], shipment: Shipment) -> Iterator[Reason]:
    """Why none of the mandates between trader and broker covers their shipment. The two are parties to the
    mandates, so the reasons may name the terms."""
    for mandate in mandates:
        for reason in why_not(mandate, shipment):
            yield _of_mandate(mandate, reason)


def _of_mandate(mandate: Agreement, reason: Reason) -> Reason:
    return Reason(f"mandate {mandate.number}: {reason.en}", f"委托书 {mandate.number}：{reason.zh}")


def not_registered(trader: str) -> Reason:
    """The reason for a trader that is not registered: an agreement counts once both sides are."""
    return Reason(f"trader {trader} is not registered", f"境内收发货人 {trader} 未在本网关登记")


def covering(candidates: Iterable[RegisteredAgreement], shipment: Shipment) -> RegisteredAgreement | None:
    """The first long-term mandate that covers a shipment for which no agreement is named."""
    return next(
        (
            each
            for each in candidates
            if each.agreement.kind is AgreementKind.LONG_TERM and not any(why_not(each.agreement, shipment))
        ),
        None,
    )


def refusal(agreement: Agreement, reasons: Iterable[Reason]) -> Finding:
    """The fault of a declaration that names an agreement which does not cover it."""
    listed = tuple(reasons)
    return finding(
        Fault.AGREEMENT_UNFIT,
        detail="; ".join(reason.en for reason in listed),
        detail_zh="；".join(reason.zh for reason in listed),
        value=agreement.number,
    )
