"""What a message needs next, in words for operators: what it waits for, until when, and what may be done."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.operations import Act, Stage, Standing, possible, stage_of
from gateway.states import CustomsStatus, DeliveryState, State


@dataclass(frozen=True, slots=True)
class Words:
    zh: str
    en: str

    def __add__(self, other: "Words") -> "Words":
        return Words(self.zh + other.zh, f"{self.en} {other.en}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The message that had come before, and how it stands now."""

    message: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A message as an operator looks at it; `reason` says why it is held, `repeats` what it is only a repeat
    of."""

    standing: Standing
    reason: str
    waiting_for: str | None
    until: datetime | None
    answer_due: datetime | None
    customs_status: CustomsStatus
    repeats: Repeated | None = None


_MAY: Final = {
    Act.HOLD: Words("hold（暂停）", "hold (stop it)"),
    Act.RELEASE: Words("release（继续处理）", "release (let it go on)"),
    Act.REJECT: Words("reject（退回发送方）", "reject (refuse it for good)"),
}
_REPLAY: Final = {
    Stage.JUDGEMENT: Words(
        "replay（按现行规则重审；可先用 --dry-run 查看结果）",
        "replay (judge it again by today's rules; --dry-run shows what would come of it)",
    ),
    Stage.DELIVERY: Words(
        "replay（重新发送；可先用 --dry-run 查看结果）",
        "replay (send it again; --dry-run shows what would come of it)",
    ),
}
_AGAIN: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)
# By the first word of what is waited for; the rest names it.
_THINGS: Final = {
    "agreement": Words("委托协议", "agreement"),
    "mandate": Words("长期委托关系", "a mandate between"),
    "document": Words("随附单据", "the document"),
    "declaration": Words("所属报关单", "the declaration that lists"),
}


def next_needed(situation: Situation, now: datetime) -> Words:
    """One or two sentences in each language."""
    said = _needed(situation, now)
    replay = _REPLAY[stage_of(situation.standing)]
    acts = [replay if act is Act.REPLAY else _MAY[act] for act in possible(situation.standing)]
    if not acts:
        return said
    zh, en = "、".join(act.zh for act in acts), ", ".join(act.en for act in acts)
    return said + Words(f"可用命令：{zh}。", f"You may: {en}.")


def _needed(situation: Situation, now: datetime) -> Words:
    if situation.repeats is not None:
        id_, state = situation.repeats.message, situation.repeats.state
        return Words(
            f"与先收到的{id_}相同，仅重发其回执，无需处理；该报文现为{state}：请查看并处理该报文。",
            f"It is a repeat of {id_}, which is {state}: look at that one. The repeat got its "
            "receipts again, and needs nothing.",
        )
    match situation.standing.state:
        case State.RECEIVED:
            return Words("将由运行中的网关审核。", "It is judged next, by a running node.")
        case State.WAITING:
            thing, until = _thing(situation.waiting_for or ""), _time(situation.until)
            return Words(
                f"等待{thing.zh}，至{until}；到达后自动继续，逾期退回。",
                f"It waits for {thing.en} until {until}; it goes on when that comes, else it is refused.",
            )
        case State.ACCEPTED:
            return Words(
                "将自动送往海关；后端暂停或中断的，恢复后继续。",
                "It goes on to customs by itself; while the back-end is paused or down, it waits.",
            )
        case State.DELIVERED:
            due = _time(situation.answer_due)
            if any(each.state in _AGAIN for each in situation.standing.deliveries):
                return Words(
                    "海关曾收到；现按同一提交键先查询，海关没有时再次递交。",
                    "Customs took it; it is asked for it now, and gets it again under its key if it lost it.",
                )
            if situation.answer_due is not None and situation.answer_due < now:
                return Words(
                    f"海关已收到，应于{due}前答复，现已逾期：请向海关查询。海关如已丢失，"
                    "可用 gateway deliveries replay 再次递交（用所列递交编号，提交键不变）。",
                    f"Customs has it and should have answered by {due}: ask customs. What customs lost is "
                    "handed over again under its key: gateway deliveries replay, with its delivery's number.",
                )
            return Words(f"海关已收到，答复应于{due}前到达。", f"Customs has it; its answer is due by {due}.")
        case State.CLOSED:
            if situation.customs_status is CustomsStatus.REFUSED:
                return Words(
                    "海关已退回：发送方改正后可用同一编号重发。",
                    "Customs refused it: its sender mends it and may send it again under the same reference.",
                )
            return Words("已完结，无需处理。", "It is finished; nothing is needed.")
        case State.REJECTED:
            return Words(
                "已退回：发送方改正后可用同一编号重发。",
                "It was refused: its sender mends it and may send it again under the same reference.",
            )
        case State.HELD:
            return _held(situation)


def _held(situation: Situation) -> Words:
    said = Words(f"已暂停：{situation.reason}。", f"It is held: {situation.reason}.")
    if any(each.may_be_taken for each in situation.standing.deliveries):
        said += Words(
            "海关可能已收到，因此不能退回；继续处理时先按提交键向海关查询。",
            "Customs may have it, so it cannot be rejected; released, customs is asked before it is sent.",
        )
    return said


def _thing(thing: str) -> Words:
    kind, _space, name = thing.partition(" ")
    known = _THINGS.get(kind)
    return Words(thing, thing) if known is None else Words(f"{known.zh} {name}", f"{known.en} {name}")


def _time(at: datetime | None) -> str:
    return "?" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
