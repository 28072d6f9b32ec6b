"""Differentiated handling (docs/sandbox.md, "What is judged"): automatic release, duty first, or review by
hand, and why.

The risk is the gateway's hint. Paper entries are treated the same way. The ledgers are looked up once, when
the declaration is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from adapters.sandbox.customs.courses import WaitReason
from adapters.sandbox.customs.record_book import RecordBook
from adapters.sandbox.customs.records import Kind, Licence, Manual
from gateway.model.reform import Risk
from gateway.model.risk_hint import Hint


@dataclass(frozen=True, slots=True)
class Handled:
    """`waits` is None for automatic release, DUTY where only the duty is unpaid, else REVIEW. `reason` is
    shown in the queue, `note` is sent to the declarant; `due` is the duty."""

    waits: WaitReason | None
    reason: str = ""
    note: str = ""
    due: Decimal = Decimal(0)


def handle(
    hint: Hint | None, facts: Mapping[str, str], records: RecordBook, names: Sequence[str], today: date
) -> Handled:
    """Decides the handling of a declaration. `names` are the numbers by which a payment may refer to the
    entry; `today` is the day in China.

    High risk is reviewed by hand. Any other declaration is released if its licences, manual and manifest
    match, where it has them, and no duty is unpaid (docs/reform.md, R9).
    """
    due = duty_due(facts, records)
    if hint is not None and hint.treated_as is Risk.HIGH:
        # The declarant is not told what makes the risk high.
        return Handled(WaitReason.REVIEW, "; ".join(hint.reasons), "转人工审单", due)
    doubts = [*_licences(facts, records, today), *_manual(facts, records, today), *_manifest(facts, records)]
    if doubts:
        reasons, notes = zip(*doubts, strict=True)
        return Handled(WaitReason.REVIEW, "; ".join(reasons), f"转人工审单，{'；'.join(notes)}", due)
    if records.paid(names) < due:
        return Handled(WaitReason.DUTY, f"duty of {due:f} is unpaid", f"合计 {due:f}（按申报币制计）", due)
    return Handled(None, due=due)


def duty_due(facts: Mapping[str, str], records: RecordBook) -> Decimal:
    """The duty in the currency of the declaration. The envelope has only the total of all lines, so the
    highest rate of its tariff codes is applied to the total."""
    duties = [duty for code in facts.get("goods", "").split() if (duty := records.duty(code)) is not None]
    rate = max((duty.rate for duty in duties if duty.rate is not None), default=Decimal(0))
    amounts = sum((duty.amount for duty in duties if duty.amount is not None), Decimal(0))
    return (amounts + _number(facts.get("total", "")) * rate / 100).quantize(Decimal("0.01"))


def _licences(facts: Mapping[str, str], records: RecordBook, today: date) -> Iterator[tuple[str, str]]:
    goods = facts.get("goods", "").split()
    for number in facts.get("licences", "").split():
        licence = records.licence(number)
        if licence is None or not _of_trader(licence, facts):
            yield f"licence {number} is not one of the trader's", f"许可证 {number} 联网核查不符"
        elif licence.until < today:
            yield f"licence {number} ended on {licence.until}", f"许可证 {number} 已过有效期"
        elif licence.tariff is not None and not any(code.startswith(licence.tariff) for code in goods):
            yield f"licence {number} is for other goods ({licence.tariff})", f"许可证 {number} 与商品不符"


def _manual(facts: Mapping[str, str], records: RecordBook, today: date) -> Iterator[tuple[str, str]]:
    number = facts.get("manual_no", "")
    if number and records.holds(Kind.MANUALS):
        manual = records.manual(number)
        if manual is None or not _of_trader(manual, facts):
            yield f"manual {number} is not one of the trader's", f"加工贸易手册 {number} 核查不符"
        elif manual.until < today:
            yield f"manual {number} ended on {manual.until}", f"加工贸易手册 {number} 已过有效期"


def _manifest(facts: Mapping[str, str], records: RecordBook) -> Iterator[tuple[str, str]]:
    bill = facts.get("bill_no", "")
    if not (bill and records.holds(Kind.MANIFESTS)):
        return
    manifest = records.manifest(bill)
    if manifest is None:
        yield f"there is no manifest for {bill}", f"无提运单 {bill} 的舱单数据"
    elif manifest.packages != _number(facts.get("packages", "")) or manifest.gross_weight != _number(
        facts.get("gross_weight", "")
    ):
        stated = f"{manifest.packages} packages, {manifest.gross_weight:f} kg"
        yield f"the manifest of {bill} says {stated}", f"与提运单 {bill} 的舱单件数或重量不符"


def _of_trader(record: Licence | Manual, facts: Mapping[str, str]) -> bool:
    return record.trader in (facts.get("trader_code"), facts.get("trader_scc"))


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return Decimal(0)
    return value if value.is_finite() else Decimal(0)
