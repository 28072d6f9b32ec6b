"""Chinese words for the values in tables and records, by field.

Numbers, names, codes and free text are not translated.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from adapters.cli.output import Vocabulary
from gateway.model.agreements import STATES_ZH as AGREEMENT_STATES
from gateway.model.agreements import Act, AgreementKind, AgreementSide
from gateway.model.circuit_breaker import BreakerState
from gateway.model.message import ReceiptKind
from gateway.model.obligation import RequestReason
from gateway.model.parties import CLASSES_ZH, ROLES_ZH, ReceiptForm, SignaturePolicy
from gateway.model.states import (
    CUSTOMS_STATUSES_ZH,
    DELIVERY_HELD,
    DELIVERY_REFUSED,
    DELIVERY_RESUMED,
    STATES_ZH,
    DeliveryState,
    Event,
)
from gateway.model.trade_words import DIRECTIONS_ZH
from gateway.model.waits import text_in_words
from gateway.monitor.alarms import AlarmSeverity
from gateway.operate.bulk_requests import ItemOutcome, RequestStatus

Word = Callable[[Any], object]


def translated_by(words: Mapping[Any, str]) -> Word:
    """Translates a value by this mapping; a value that is not in it stays unchanged."""
    by_value = {str(value): zh for value, zh in words.items()}
    return lambda value: by_value.get(str(value), value)


def _thing(value: Any) -> object:
    return text_in_words(value).zh if value else value


DELIVERY_STATES: Final = {
    DeliveryState.PENDING: "待递交",
    DeliveryState.SENDING: "递交中",
    DeliveryState.UNKNOWN: "结果不明",
    DeliveryState.DELIVERED: "已递交",
    DeliveryState.REFUSED: "未递交成功",
    DeliveryState.HELD: "暂停处理",
}
EVENTS: Final = {
    Event.RECEIVED: "收到",
    Event.PASSED: "校验通过",
    Event.REFUSED: "校验拒收",
    Event.REPEATED: "重复，重发回执",
    Event.ACCEPTED_NO_DELIVERY: "校验通过，无须递交",
    Event.WAITING: "校验通过，等待",
    Event.FAILED: "网关故障",
    Event.ARRIVED: "所等内容已到",
    Event.JOINED: "并入报关单",
    Event.RENAMED: "发送方改名",
    Event.REPLACED: "由后一份取代",
    Event.EXPIRED: "等待期满",
    Event.TAKEN: "海关收到",
    Event.DIVERTED: "改用备用接口",
    Event.UNDELIVERABLE: "无法递交",
    Event.ANSWERED: "海关回执",
    Event.SETTLED: "海关最终回执",
    Event.REPLAYED: "人工重新处理",
    Event.RESUMED: "人工继续处理",
    Event.DISMISSED: "人工拒收",
    Event.HELD: "人工暂停",
    "receipt-removed": "账户取走回执",
    "receipt-restored": "人工放回回执",
    "requested": "发出补交单证通知",
    "matched": "对应到报关单",
    "read": "查阅档案",
    "reviewed": "复核档案",
    DELIVERY_HELD: "暂停递交",
    DELIVERY_RESUMED: "继续递交",
    DELIVERY_REFUSED: "递交未成功",
}
VERDICTS: Final = {
    "accepted": "已受理",
    "rejected": "已拒收",
    "waiting": "等待",
    "held": "暂停处理",
}
RECEIPT_KINDS: Final = {
    ReceiptKind.GATEWAY: "网关回执",
    ReceiptKind.TECHNICAL: "导入回执",
    ReceiptKind.BUSINESS: "海关回执",
    ReceiptKind.REPORT: "拒收说明",
    ReceiptKind.NOTICE: "通知",
    ReceiptKind.REQUEST: "补交单证通知",
    ReceiptKind.AGREEMENT: "委托协议通知",
}
BREAKERS: Final = {
    BreakerState.CLOSED: "正常",
    BreakerState.OPEN: "中断",
    BreakerState.PROBING: "试通中",
}
_LINKS: Final = {"to": "本报文所关联", "from": "关联本报文"}
_KINDS: Final = {"inbound": "收到的报文", "answer": "海关回执"}
_ACTS_ON: Final = {"hold": "暂停", "release": "继续处理", "reject": "人工拒收", "replay": "重新处理"}
_PROGRESS: Final = {
    RequestStatus.ASKED: "等待第二人核准",
    RequestStatus.OPEN: "进行中",
    RequestStatus.DONE: "已办理",
    RequestStatus.REFUSED: "未核准",
}
_OUTCOMES: Final = {
    ItemOutcome.OPEN: "未办理",
    ItemOutcome.DONE: "已办理",
    ItemOutcome.IMPOSSIBLE: "不能办理",
}
_WHY: Final = {
    RequestReason.DUE: "放行后补交",
    RequestReason.REMINDER: "催交",
    RequestReason.OVERDUE: "逾期",
    RequestReason.SUPPLEMENT: "海关要求补充",
    RequestReason.PAPER: "现场交单",
}
AGREEMENT_KINDS: Final = {AgreementKind.LONG_TERM: "长期委托书", AgreementKind.PER_SHIPMENT: "逐票委托协议"}
AGREEMENT_ACTS: Final = {
    "proposed": "发起",
    Act.AMENDED: "变更",
    Act.CONFIRMED: "确认",
    Act.REFUSED: "对方拒绝",
    Act.WITHDRAWN: "撤回",
    Act.TERMINATED: "终止",
    Act.USED: "使用",
    Act.FREED: "恢复为未使用",
}
# Verdicts of receipts; for a notice, the class, act or reason that it reports.
SAID: Final[Mapping[Any, str]] = {**VERDICTS, **CUSTOMS_STATUSES_ZH, **AGREEMENT_ACTS, **_WHY}
SEVERITIES: Final = {
    AlarmSeverity.NOTICE: "提示",
    AlarmSeverity.WARNING: "警告",
    AlarmSeverity.SERIOUS: "严重",
    AlarmSeverity.CRITICAL: "紧急",
}
# Subject of an alarm, by the first part of its key.
_ALARMS: Final = {
    "unfit": "证书或时钟",
    "acts": "值班人员处置",
    "to_judge": "待校验报文",
    "to_send": "待递交",
    "unknown": "递交结果不明",
    "to_post": "待送达回执",
    "held": "暂停处理",
    "breaker": "海关接口中断",
    "paused": "海关接口人工暂停",
    "certificate": "证书到期",
    "disk": "磁盘",
    "amqp": "消息服务器",
    "amqp-dead": "未收下的消息",
    "partner": "合作方目录",
    "partner-folder": "合作方目录中的文件",
    "answers": "海关回执取不到",
    "unfinished": "未完成文件",
    "answers-held": "无法对应的回执",
    "allowance": "账户额度",
    "answers-overdue": "海关逾期未答复",
    "documents-overdue": "逾期未补交单证",
    "store": "存储",
    "test": "测试",
}
_SIDES: Final = {AgreementSide.TRADER: "委托方", AgreementSide.BROKER: "被委托方"}
_FORMS: Final = {ReceiptForm.SINGLE_WINDOW: "单一窗口格式", ReceiptForm.GATEWAY: "网关格式"}
_SIGNATURES: Final = {
    SignaturePolicy.NONE: "不带签名",
    SignaturePolicy.OPTIONAL: "可带签名",
    SignaturePolicy.REQUIRED: "必须带签名",
}
_WAITS: Final = {
    "review": "人工审单",
    "supplement": "补充申报",
    "paper": "现场交单",
    "inspection": "查验",
    "duty": "缴纳税费",
    "closing": "结关",
    "office": "进出境关别",
    "departure": "起运",
    "arrival": "运抵",
    "write-off": "核销",
}
DECISIONS: Final = {
    "release": "放行",
    "return": "退单",
    "inspect": "布控查验",
    "supplement": "要求补充",
    "paper": "现场交单",
    "duty": "应缴税费",
    "let-go": "准予提离",
    "close": "结关",
    "delete": "删单",
    "depart": "起运",
    "arrive": "运抵",
    "write-off": "核销",
}

# Names of doctor's checks.
_CHECKS: Final = {
    "configuration": "配置",
    "in force": "生效配置",
    "message families": "报文种类",
    "private keys": "私钥",
    "files of the home": "文件权限",
    "host keys": "主机密钥",
    "gateway certificate": "网关证书",
    "clock": "时钟",
    "parties' certificates": "企业证书",
    "agreements": "委托协议",
    "partners": "合作方",
    "connections": "连接",
    "extras": "附加组件",
    "addresses": "监听地址",
    "unfinished uploads": "未完成文件",
    "store": "存储",
    "disk": "磁盘",
    "node": "网关",
}


def _alarm(key: Any) -> object:
    name, _colon, of_what = str(key).partition(":")
    zh = _ALARMS.get(name)
    if zh is None:
        return key
    return f"{zh}：{of_what}" if of_what else zh


def _listed(word: Word) -> Word:
    return lambda value: "、".join(str(word(each)) for each in re.split("[,、]", value)) if value else value


MESSAGE: Final = Vocabulary(
    {
        "state": translated_by(STATES_ZH),
        "customs_status": translated_by(CUSTOMS_STATUSES_ZH),
        "waiting_for": _thing,
        "operation": translated_by({"save": "暂存", "declare": "申报", "inform": "告知"}),
    },
    {"id": "报文号"},
)
STEP: Final = Vocabulary({"event": translated_by(EVENTS), "state": translated_by(STATES_ZH)})
DELIVERY: Final = Vocabulary({"state": translated_by(DELIVERY_STATES)})
BACKEND: Final = Vocabulary({"breaker": translated_by(BREAKERS)})
RECEIPT: Final = Vocabulary({"kind": translated_by(RECEIPT_KINDS), "verdict": translated_by(SAID)})
LINK: Final = Vocabulary(
    {
        "link": translated_by(_LINKS),
        "kind": translated_by(_KINDS),
        "type": translated_by(RECEIPT_KINDS),
        "state": translated_by(STATES_ZH),
    },
    {"id": "报文号"},
)
UNDERTAKING: Final = Vocabulary(
    {"act": translated_by(_ACTS_ON), "state": translated_by(_PROGRESS), "outcome": translated_by(_OUTCOMES)}
)
ASKED: Final = Vocabulary({"why": translated_by(_WHY)})
ALARM: Final = Vocabulary({"severity": translated_by(SEVERITIES), "key": _alarm})
AGREEMENT: Final = Vocabulary(
    {
        "kind": translated_by(AGREEMENT_KINDS),
        "state": translated_by(AGREEMENT_STATES),
        "proposed_by": translated_by(_SIDES),
        "act": translated_by(AGREEMENT_ACTS),
        "direction": translated_by(DIRECTIONS_ZH),
    }
)
PARTY: Final = Vocabulary(
    {
        "class": translated_by(CLASSES_ZH),
        "role": _listed(translated_by(ROLES_ZH)),
        "signature": translated_by(_SIGNATURES),
        "receipts": _listed(translated_by(_FORMS)),
    },
    {"name": "企业名称"},
)
DOCTOR: Final = Vocabulary({"check": translated_by(_CHECKS)})
QUEUE: Final = Vocabulary({"status": translated_by(_WAITS)}, {"key": "报文号"})
