"""The conditions of alarms: compares a snapshot of the node with the thresholds of `[alarms]`. The sentences
name queues, back-ends and parties, and nothing of the content of a message."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from gateway.config.monitoring import AlarmSettings
from gateway.model.china import china_date, day_zh
from gateway.monitor.alarms import AlarmSeverity, Condition
from gateway.monitor.snapshot import BackendStatus, Expiry, PartnerHostStatus, SystemSnapshot

_ENDINGS_ZH: Final = {"signing": "网关签名", "connection": "连接", "party": "企业"}
ACTS_OF: Final = timedelta(hours=24)  # the time within which the acts of one operator are counted
UNFINISHED: Final = "unfinished:"  # the prefix of the keys of alarms about unfinished files
_GROWING: Final = (AlarmSeverity.NOTICE, AlarmSeverity.WARNING, AlarmSeverity.SERIOUS, AlarmSeverity.CRITICAL)


def conditions(snapshot: SystemSnapshot, limits: AlarmSettings) -> list[Condition]:
    """Everything that is wrong in the snapshot, each with its own key."""
    return [
        *_unfit(snapshot),
        *_queues(snapshot, limits),
        *(condition for backend in snapshot.backends for condition in _way(backend, snapshot, limits)),
        *(condition for ending in snapshot.expiries for condition in _ending(ending, snapshot, limits)),
        *_disk(snapshot, limits),
        *_link(snapshot, limits),
        *(condition for host in snapshot.hosts for condition in _host(host, snapshot, limits)),
        *_deaf(snapshot, limits),
        *_unfinished(snapshot),
        *_held_answers(snapshot),
        *_nearly_used(snapshot),
        *_overdue(snapshot),
    ]


def _unfit(snapshot: SystemSnapshot) -> Iterator[Condition]:
    if snapshot.unfit:
        yield Condition(
            key="unfit",
            severity=AlarmSeverity.CRITICAL,
            zh=f"网关证书不在有效期内，或本机时钟落后：报文照收，暂停校验和签发回执（{snapshot.unfit}）",
            en=f"messages are taken and kept, and nothing is judged or signed: {snapshot.unfit}",
        )


def many_acts(counted: Mapping[str, int], most: int) -> list[Condition]:
    """A condition for each operator who acted on at least `most` messages within `ACTS_OF`. One command on so
    many messages takes a second person (`operations.four_eyes_from`); several smaller ones do not, so an
    alarm reports them."""
    return [
        Condition(
            key=f"acts:{actor}",
            severity=AlarmSeverity.WARNING,
            zh=f"值班人员 {actor} 在 24 小时内已处置报文 {number} 份（单条命令达到 {most} 份须另一人核准）",
            en=f"{actor} has acted on {number} messages within 24 hours "
            f"(one command on {most} takes two persons)",
        )
        for actor, number in counted.items()
        if number >= most
    ]


def _queues(snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    too_old = {
        "to_judge": (limits.to_judge_minutes, "message to judge", "待校验报文"),
        "to_send": (limits.to_send_minutes, "delivery to {of}", "待递交海关接口 {of} 的报文"),
        "unknown": (
            limits.unknown_minutes,
            "delivery to {of} without an outcome",
            "递交海关接口 {of}、结果不明的报文",
        ),
        "to_post": (limits.to_post_minutes, "receipt to bring to {of}", "待送达 {of} 的回执"),
    }
    for queue in snapshot.queues:
        name = f"{queue.stage}:{queue.owner}" if queue.owner else queue.stage
        if queue.stage == "held" and queue.count:
            yield Condition(
                key="held",
                severity=AlarmSeverity.WARNING,
                zh=f"有 {queue.count} 份报文暂停处理，请人工处理",
                en=f"messages that are held and wait for an operator: {queue.count}",
            )
        elif queue.stage in too_old and queue.count:
            minutes, en, zh = too_old[queue.stage]
            if queue.age > minutes * 60:
                oldest, what = int(queue.age // 60), en.format(of=queue.owner)
                yield Condition(
                    key=name,
                    severity=AlarmSeverity.SERIOUS,
                    zh=f"{zh.format(of=queue.owner)}共 {queue.count} 份，最早一份已等待 {oldest} 分钟",
                    en=f"the oldest {what} is {oldest} minutes old ({queue.count} in all)",
                )


def _way(backend: BackendStatus, snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    if backend.breaker != "closed" and snapshot.at - backend.since > timedelta(
        minutes=limits.breaker_minutes
    ):
        yield Condition(
            key=f"breaker:{backend.name}",
            severity=AlarmSeverity.SERIOUS,
            zh=f"海关接口 {backend.name} 中断，报文等待递交",
            en=f"back-end {backend.name} does not work; deliveries wait",
        )
    if backend.paused_at is not None and snapshot.at - backend.paused_at > timedelta(
        minutes=limits.paused_minutes
    ):
        yield Condition(
            key=f"paused:{backend.name}",
            severity=AlarmSeverity.WARNING,
            zh=f"海关接口 {backend.name} 仍处于人工暂停状态，请确认是否恢复",
            en=f"back-end {backend.name} is still paused by an operator",
        )


def _ending(ending: Expiry, snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    key = f"certificate:{ending.kind}:{ending.owner}"[:128]
    if ending.ends is None:
        yield Condition(
            key=key,
            severity=AlarmSeverity.SERIOUS,
            zh=f"无法读取证书（{_ENDINGS_ZH[ending.kind]} {ending.owner}），请检查",
            en=f"the certificate ({ending.kind} {ending.owner}) cannot be read",
        )
        return
    days_left = (ending.ends - snapshot.at) / timedelta(days=1)
    passed = [
        severity
        for days, severity in zip(limits.certificate_days, _GROWING, strict=True)
        if days_left <= days
    ]
    if passed:
        day = ending.ends.date()
        yield Condition(
            key=key,
            severity=passed[-1],
            zh=f"证书（{_ENDINGS_ZH[ending.kind]} {ending.owner}）"
            f"于{day_zh(china_date(ending.ends))}到期，请及时更换",
            en=f"the certificate ({ending.kind} {ending.owner}) ends on {day}",
        )


def _disk(snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    steps = zip(limits.disk_percent, (AlarmSeverity.WARNING, AlarmSeverity.CRITICAL), strict=True)
    passed = [severity for percent, severity in steps if snapshot.free * 100 < percent]
    if passed:
        yield Condition(
            key="disk",
            severity=passed[-1],
            zh=f"磁盘剩余空间 {snapshot.free:.0%}，请清理或扩容",
            en=f"{snapshot.free:.0%} of the disk is free",
        )


def _link(snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    link = snapshot.link
    if link is not None and link.put_aside:
        yield Condition(
            key="amqp-dead",
            severity=AlarmSeverity.WARNING,
            zh=f"gateway.dead 队列中有 {link.put_aside} 份未收下的消息，请人工处理",
            en=f"messages that were not taken lie in queue gateway.dead: {link.put_aside}",
        )
    if link is None or (link.connected and not link.blocked):
        return
    if snapshot.at - link.since > timedelta(minutes=limits.amqp_minutes):
        zh, en = ("阻塞", "blocks us") if link.connected else ("连接中断", "is out of reach")
        yield Condition(
            key="amqp", severity=AlarmSeverity.SERIOUS, zh=f"AMQP 消息服务器{zh}", en=f"the AMQP broker {en}"
        )


def _host(host: PartnerHostStatus, snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    since = host.failing_since
    if since is not None and snapshot.at - since > timedelta(minutes=limits.partner_minutes):
        yield Condition(
            key=f"partner:{host.name}"[:128],
            severity=AlarmSeverity.SERIOUS,
            zh=f"无法访问合作方 {host.name} 的目录，其报文未取、回执未送达，请检查",
            en=f"the folders of partner {host.name} cannot be visited; nothing is fetched or brought",
        )
    elif host.trouble:
        yield Condition(
            key=f"partner-folder:{host.name}"[:128],
            severity=AlarmSeverity.WARNING,
            zh=f"合作方 {host.name} 的目录中有文件不能收取或不能写入，请检查（{host.trouble}）",
            en=f"in the folders of partner {host.name} something cannot be taken or written: {host.trouble}",
        )


def _deaf(snapshot: SystemSnapshot, limits: AlarmSettings) -> Iterator[Condition]:
    broken = {
        backend.name for backend in snapshot.backends if backend.breaker != "closed"
    }  # these have an alarm already
    for name, since in snapshot.deaf.items():
        if name not in broken and snapshot.at - since > timedelta(minutes=limits.answers_minutes):
            yield Condition(
                key=f"answers:{name}"[:128],
                severity=AlarmSeverity.SERIOUS,
                zh=f"无法取得海关接口 {name} 的回执，请检查",
                en=f"the answers of back-end {name} cannot be fetched",
            )


def _unfinished(snapshot: SystemSnapshot) -> Iterator[Condition]:
    for owner, count in snapshot.unfinished.items():
        yield Condition(
            key=f"{UNFINISHED}{owner}"[:128],
            severity=AlarmSeverity.WARNING,
            zh=f"{owner} 有 {count} 个文件超过一小时仍是未完成文件名，网关未收下，请联系发送方",
            en=f"{owner} left files under unfinished names for an hour, which are not taken: {count}",
        )


def _held_answers(snapshot: SystemSnapshot) -> Iterator[Condition]:
    if snapshot.held_answers:
        yield Condition(
            key="answers-held",
            severity=AlarmSeverity.WARNING,
            zh=f"有 {snapshot.held_answers} 份回执无法对应报文，请人工处理",
            en=f"answers that belong to no message and wait for an operator: {snapshot.held_answers}",
        )


def _nearly_used(snapshot: SystemSnapshot) -> Iterator[Condition]:
    for account, share in snapshot.nearly_used.items():
        yield Condition(
            key=f"allowance:{account}"[:128],
            severity=AlarmSeverity.WARNING if share < 1 else AlarmSeverity.SERIOUS,
            zh=f"账户 {account} 今日额度已用 {share:.0%}，用完后当日不再接收其报文",
            en=f"account {account} has used {share:.0%} of what it may send today, and no more",
        )


def _overdue(snapshot: SystemSnapshot) -> Iterator[Condition]:
    if snapshot.overdue_answers:
        yield Condition(
            key="answers-overdue",
            severity=AlarmSeverity.WARNING,
            zh=f"有 {snapshot.overdue_answers} 份报关单海关逾期未作最终答复，请向海关查询",
            en=f"declarations that customs owes its final answer on: {snapshot.overdue_answers}"
            " (gateway messages list --overdue)",
        )
    if snapshot.overdue_documents:
        yield Condition(
            key="documents-overdue",
            severity=AlarmSeverity.WARNING,
            zh=f"有 {snapshot.overdue_documents} 份报关单逾期未补交单证，请督促报关单位",
            en=f"declarations whose documents are overdue: {snapshot.overdue_documents}"
            " (gateway documents list --overdue)",
        )
