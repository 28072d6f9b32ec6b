"""What a message needs next, in words for operators: what it waits for, until when, and what may be done."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.model.china import moment_zh
from gateway.model.states import STATES_ZH, CustomsStatus, DeliveryState, State
from gateway.model.waits import Words, text_in_words
from gateway.operate.message_actions import MessageAct, MessageStatus, ReplayStage, possible, stage_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The earlier message with the same content, and its present status."""

    message: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A message as an operator sees it; `reason` says why it is held, `repeats` is the message that it only
    repeats."""

    status: MessageStatus
    reason: str
    waiting_for: str | None
    until: datetime | None
    answer_due: datetime | None
    customs_status: CustomsStatus
    repeats: Repeated | None = None


_MAY: Final = {
    MessageAct.HOLD: Words("hold（暂停）", "hold (stop it)"),
    MessageAct.RELEASE: Words("release（继续处理）", "release (let it go on)"),
    MessageAct.REJECT: Words("reject（人工拒收）", "reject (refuse it for good)"),
}
_REPLAY: Final = {
    ReplayStage.JUDGEMENT: Words(
        "replay（按现行规则重新校验；可先用 --dry-run 查看结果）",
        "replay (judge it again by today's rules; --dry-run shows what would come of it)",
    ),
    ReplayStage.DELIVERY: Words(
        "replay（重新递交；可先用 --dry-run 查看结果）",
        "replay (send it again; --dry-run shows what would come of it)",
    ),
}
_AGAIN: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)


def next_needed(situation: Situation, now: datetime) -> Words:
    """What the message needs next, in one or two sentences in each language."""
    words = _needed(situation, now)
    replay = _REPLAY[stage_of(situation.status)]
    acts = [replay if act is MessageAct.REPLAY else _MAY[act] for act in possible(situation.status)]
    if not acts:
        return words
    zh, en = "、".join(act.zh for act in acts), ", ".join(act.en for act in acts)
    return words + Words(f"可用命令：{zh}。", f"You may: {en}.")


def _needed(situation: Situation, now: datetime) -> Words:
    if situation.repeats is not None:
        id_, state = situation.repeats.message, situation.repeats.state
        return Words(
            f"与先收到的报文 {id_} 相同，仅重发其回执，无须处理；该报文现为{STATES_ZH[state]}："
            "请查看并处理该报文。",
            f"It is a repeat of {id_}, which is {state}: look at that one. The repeat got its "
            "receipts again, and needs nothing.",
        )
    match situation.status.state:
        case State.RECEIVED:
            return Words("将由运行中的网关校验。", "It is judged next, by a running node.")
        case State.WAITING:
            what, until = text_in_words(situation.waiting_for or ""), _time(situation.until)
            return Words(
                f"等待{what.zh}，最迟至{until.zh}；到达后自动继续，逾期拒收。",
                f"It waits for {what.en} until {until.en}; it goes on when that comes, else it is refused.",
            )
        case State.ACCEPTED:
            return Words(
                "将自动递交海关；海关接口暂停或中断的，恢复后继续。",
                "It goes on to customs by itself; while the back-end is paused or down, it waits.",
            )
        case State.DELIVERED:
            due = _time(situation.answer_due)
            if any(each.state in _AGAIN for each in situation.status.deliveries):
                return Words(
                    "海关曾收到；现按同一幂等键先查询，海关没有时再次递交。",
                    "Customs took it; it is asked for it now, and gets it again under its key if it lost it.",
                )
            if situation.answer_due is not None and situation.answer_due < now:
                return Words(
                    f"海关已收到，应于{due.zh}前发出回执，现已逾期：请向海关查询。海关如已丢失，"
                    "可用 gateway deliveries replay 再次递交（用所列递交编号，幂等键不变）。",
                    f"Customs has it and should have answered by {due.en}: ask customs. What customs lost is "
                    "handed over again under its key: gateway deliveries replay, with its delivery's number.",
                )
            return Words(
                f"海关已收到，回执应于{due.zh}前到达。", f"Customs has it; its answer is due by {due.en}."
            )
        case State.CLOSED:
            if situation.customs_status is CustomsStatus.REFUSED:
                return Words(
                    "海关已退单：发送方更正后可用同一编号重发。",
                    "Customs refused it: its sender mends it and may send it again under the same reference.",
                )
            return Words("已完结，无须处理。", "It is finished; nothing is needed.")
        case State.REJECTED:
            return Words(
                "已拒收：发送方更正后可用同一编号重发。",
                "It was refused: its sender mends it and may send it again under the same reference.",
            )
        case State.HELD:
            return _held(situation)


def _held(situation: Situation) -> Words:
    words = Words(f"已暂停：{situation.reason}。", f"It is held: {situation.reason}.")
    if any(each.may_be_taken for each in situation.status.deliveries):
        words += Words(
            "海关可能已收到，因此不能拒收；继续处理时先按幂等键向海关查询。",
            "Customs may have it, so it cannot be rejected; released, customs is asked before it is sent.",
        )
    return words


def _time(at: datetime | None) -> Words:
    if at is None:
        return Words("期限不明", "?")
    return Words(moment_zh(at), f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
