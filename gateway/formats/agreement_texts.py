"""The sentences of notices about agreements, in Chinese and English: a party learns only from these notices
that an agreement awaits its confirmation."""

from collections.abc import Mapping
from typing import Final

from gateway.model.agreements import Act, Agreement, AgreementKind, AgreementNotice, AgreementSide
from gateway.model.china import day_zh

_KINDS: Final = {
    AgreementKind.LONG_TERM: ("代理报关委托书", "mandate"),
    AgreementKind.PER_SHIPMENT: ("委托报关协议", "agreement"),
}
_SIDES_ZH: Final = {AgreementSide.TRADER: "境内收发货人", AgreementSide.BROKER: "报关企业"}
_TOLD: Final[Mapping[str, tuple[str, str]]] = {
    "proposed": (
        "{by_zh} 向{to_zh} 发起{called}{valid}，请{to_side}确认或拒绝。",
        "{by} proposes {called_en} to {to}{valid_en}; {to} is asked to confirm or refuse.",
    ),
    Act.CONFIRMED: (
        "{to_zh} 已确认{by_zh} 发起的{called}{valid}。",
        "{to} has confirmed {called_en}, which {by} proposed{valid_en}.",
    ),
    Act.AMENDED: (
        "双方已变更{called}的条款{valid}，请核对。",
        "Both sides have changed the terms of {called_en}{valid_en}.",
    ),
    Act.REFUSED: (
        "{to_zh} 拒绝{by_zh} 发起的{called}，该协议不能使用；需要的请重新发起。",
        "{to} has refused {called_en}, which {by} proposed; it cannot be used.",
    ),
    Act.WITHDRAWN: (
        "{by_zh} 已撤回其发起的{called}，该协议不能使用。",
        "{by} has withdrawn {called_en}; it cannot be used.",
    ),
    Act.TERMINATED: (
        "{called}已终止，不得再依此申报。",
        "{called_en} is terminated; nothing may be declared under it any more.",
    ),
    Act.USED: ("{called}已使用。", "{called_en} has been used."),
}


def notice_texts(notice: AgreementNotice) -> dict[str, str]:
    """The sentence for a notice by language (`zh`, `en`): what happened to the agreement, who proposed it,
    and what the other side is asked to do."""
    agreement, by = notice.agreement, notice.proposed_by
    to = AgreementSide.TRADER if by is AgreementSide.BROKER else AgreementSide.BROKER
    codes = {AgreementSide.TRADER: agreement.trader, AgreementSide.BROKER: agreement.broker}
    kind_zh, kind = _KINDS[agreement.kind]
    zh, en = _TOLD[notice.act]
    valid, valid_en = _valid(agreement)
    filled = {
        "by": f"{by} {codes[by]}",
        "to": f"{to} {codes[to]}",
        "by_zh": f"{_SIDES_ZH[by]} {codes[by]}",
        "to_zh": f"{_SIDES_ZH[to]} {codes[to]}",
        "to_side": _SIDES_ZH[to],
        "called": f"{kind_zh} {agreement.number}",
        "called_en": f"{kind} {agreement.number}",
        "valid": valid,
        "valid_en": valid_en,
    }
    texts = {"zh": zh.format(**filled), "en": en.format(**filled)}
    return texts | {"en": texts["en"][:1].upper() + texts["en"][1:]}


def use_texts(kind: AgreementKind, number: str, act: Act, reference: str, entry_id: str) -> dict[str, str]:
    """The sentence by language (`zh`, `en`) that a declaration was accepted under the agreement (`Act.USED`),
    or that customs refused that declaration (any other act)."""
    kind_zh, kind_en = _KINDS[kind]
    number_zh, number_en = (f"，报关单号 {entry_id}", f", entry {entry_id}") if entry_id else ("", "")
    zh, en = f"（客户端编号 {reference}{number_zh}）", f"{reference}{number_en}"
    once = kind is AgreementKind.PER_SHIPMENT
    if act is Act.USED:
        return {
            "zh": f"报关单{zh}已依{kind_zh} {number} 受理" + ("，该协议已使用。" if once else "。"),
            "en": f"Declaration {en} was accepted under {kind_en} {number}"
            + (", which is used." if once else "."),
        }
    return {
        "zh": f"海关已对报关单{zh}退单" + (f"，{kind_zh} {number} 恢复为未使用。" if once else "。"),
        "en": f"Customs refused declaration {en}"
        + (f"; {kind_en} {number} may be used again." if once else "."),
    }


def _valid(agreement: Agreement) -> tuple[str, str]:
    since, until = agreement.valid_from, agreement.valid_until
    zh = f"（自{day_zh(since)}起" + (f"至{day_zh(until)}止有效）" if until else "有效）")
    return zh, f" (valid from {since}{f' until {until}' if until else ''})"
