"""What a notice of the brokers' association makes of an agreement (FORMATS 4; REFORM R13, 6)."""

from dataclasses import replace
from datetime import datetime

from gateway.agreements import STATES_ZH, Change, IllegalAct, OtherParties, changed
from gateway.answers import receipt_name
from gateway.faults import Fault, Rejected, finding
from gateway.message import Package, Receipt, ReceiptKind, Received
from gateway.notices import read_notice
from gateway.ports import Register
from gateway.stages.verify import Evidence


def note(evidence: Evidence, register: Register) -> Change | None:
    """The change; None where the notice tells what is known already. Raises `Rejected` for what cannot happen
    to the agreement any more, and for other parties."""
    notice = read_notice(evidence.root)
    # Declarations tell their currency so, whichever code they write.
    currency = evidence.type.translated("currency", notice.agreement.currency)
    notice = replace(notice, agreement=replace(notice.agreement, currency=currency))
    try:
        return changed(register.agreement(notice.agreement.number), notice)
    except (IllegalAct, OtherParties) as wrong:
        raise Rejected(
            finding(
                Fault.AGREEMENT_ACT,
                detail=str(wrong),
                detail_zh=_why_zh(wrong),
                value=notice.agreement.number,
            )
        ) from wrong


def _why_zh(wrong: IllegalAct | OtherParties) -> str:
    if isinstance(wrong, OtherParties):
        return "该委托协议的类型或双方与已登记的不一致"
    return f"该委托协议{STATES_ZH[wrong.state]}"


def relay(
    change: Change | None, received: Received, package: Package, register: Register, now: datetime
) -> tuple[Receipt, ...]:
    """The association's notice, byte for byte, for both sides of the agreement, where they have an account;
    nothing where it changes nothing. Whatever receipts an account chose: nothing else tells it of this."""
    if change is None:
        return ()
    sides = [register.party_called(code) for code in (change.after.trader, change.after.broker)]
    name = receipt_name("Agreement", received.arrival.name, now)
    # The association may tell of one party that is both.
    accounts = dict.fromkeys(
        side.account.name for side in sides if side is not None and side.account is not None
    )
    return tuple(
        Receipt(account=account, name=name, kind=ReceiptKind.AGREEMENT, body=package.document)
        for account in accounts
    )
