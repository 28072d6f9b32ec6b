"""Applies a notice of the brokers' association to an agreement (docs/reform.md, R13)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.formats.agreement_notices import read_notice
from gateway.judge.verify import Evidence
from gateway.model.agreements import (
    STATES_ZH,
    AgreementChange,
    AgreementNotice,
    IllegalAct,
    OtherParties,
    OtherTerms,
    changed,
)
from gateway.model.china import day_zh, moment_zh
from gateway.model.decision import RefusedByAgreement, SeenAgreement
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.message import Package, Receipt, ReceiptKind, Received
from gateway.model.receipt_names import receipt_name
from gateway.model.register import Register
from gateway.rules.agency_coverage import Reason

# The clocks of two systems may differ by this much.
_AHEAD: Final = timedelta(minutes=10)


def apply_agreement_notice(
    evidence: Evidence, received: Received, register: Register
) -> tuple[SeenAgreement, AgreementChange | None]:
    """The agreement as it was found, and the change to it, None where the notice says nothing new. Raises
    `MessageRejected` for a notice that makes no sense, and `RefusedByAgreement` for one that cannot happen to
    the agreement any more, or names other parties or other terms."""
    notice = read_notice(evidence.root)
    # Declarations have their currency translated to the same codes.
    currency = evidence.type.translated("currency", notice.agreement.currency)
    notice = replace(notice, agreement=replace(notice.agreement, currency=currency))
    if wrong := list(_senseless(notice, received.arrival.received_at, register)):
        raise MessageRejected(
            finding(
                Fault.AGREEMENT_NOTICE,
                detail="; ".join(reason.en for reason in wrong),
                detail_zh="；".join(reason.zh for reason in wrong),
                value=notice.agreement.number,
            )
        )
    number = notice.agreement.number
    present = register.agreement(number)
    seen = SeenAgreement(number=number, revision=0 if present is None else present.revision)
    try:
        return seen, changed(present, notice)
    except (IllegalAct, OtherParties, OtherTerms) as against:
        refused = finding(Fault.AGREEMENT_ACT, detail=str(against), detail_zh=_why_zh(against), value=number)
        raise RefusedByAgreement(refused, seen) from against


def _senseless(notice: AgreementNotice, received_at: datetime, register: Register) -> Iterator[Reason]:
    """Contradictions in a notice, whatever is registered. A validity that begins later is sound; so is a side
    that is not registered here yet: the agreement counts once it is."""
    agreement = notice.agreement
    if agreement.valid_until is not None and agreement.valid_until < agreement.valid_from:
        yield Reason(
            f"valid until {agreement.valid_until}, from {agreement.valid_from}",
            f"有效期止 {day_zh(agreement.valid_until)}早于起 {day_zh(agreement.valid_from)}",
        )
    sides = [register.party_called(code) for code in (agreement.trader, agreement.broker)]
    if agreement.trader == agreement.broker:
        yield Reason(f"{agreement.trader} is trader and broker", f"委托方与被委托方同为 {agreement.trader}")
    elif not any(sides):
        yield Reason(
            f"neither {agreement.trader} nor {agreement.broker} is registered",
            f"委托方 {agreement.trader} 和被委托方 {agreement.broker} 均未在本网关登记",
        )
    if notice.at > received_at + _AHEAD:
        yield Reason(
            f"issued at {notice.at:%Y-%m-%d %H:%M} UTC, later than it came",
            f"签发时间{moment_zh(notice.at)}晚于收到时间",
        )


def _why_zh(against: IllegalAct | OtherParties | OtherTerms) -> str:
    if isinstance(against, OtherParties):
        return "该委托协议的类型或双方与已登记的不一致"
    if isinstance(against, OtherTerms):
        return "该委托协议已经确认，条款与已登记的不一致，变更条款须发送变更通知"
    return f"该委托协议{STATES_ZH[against.state]}"


def relay(
    change: AgreementChange | None, received: Received, package: Package, register: Register, now: datetime
) -> tuple[Receipt, ...]:
    """The association's notice, byte for byte, for both sides of the agreement, where they have an account;
    nothing where it changes nothing. It is sent whichever receipts an account chose, since nothing else
    informs it."""
    if change is None:
        return ()
    sides = [register.party_called(code) for code in (change.after.trader, change.after.broker)]
    name = receipt_name("Agreement", received.arrival.name, now)
    accounts = dict.fromkeys(
        side.account.name for side in sides if side is not None and side.account is not None
    )
    return tuple(
        Receipt(account=account, name=name, kind=ReceiptKind.AGREEMENT, body=package.document)
        for account in accounts
    )
