"""The checks of `gateway doctor`: everything that would keep a node from working; the node may run."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.home.certificates import last_end
from adapters.home.differing import differing
from adapters.home.home import Home
from adapters.home.host_keys import KINDS, host_key_files, read_host_keys
from adapters.home.listeners import addresses_in_use
from adapters.home.named_files import named_files
from adapters.home.sandbox import check_sandbox
from adapters.store.read.agreements import one_side_unknown
from adapters.store.read.store_status import behind
from adapters.store.write.alarms import open_alarms
from gateway.config.bad_settings import BadSettings
from gateway.formats.certificates import Unusable, certificate, outside
from gateway.model.china import china_date, day_zh, moment_zh
from gateway.model.parties import Delivery
from gateway.model.waits import Words, joined
from gateway.monitor.alarm_conditions import UNFINISHED

Checks = tuple[tuple[str, Callable[[], Words]], ...]

WARN_BEFORE: Final = timedelta(days=30)
_NAMED: Final = 20
SPARE_BYTES: Final = 1024**3


def examine(home: Home, now: datetime, *, whole: bool = False) -> list[dict[str, Any]]:
    """One entry per check: its name, whether it passed, and the finding in English (`detail`) and Chinese
    (`zh`). With `whole` every page of the store is read, which takes long for a large store."""
    checks: Checks = (
        ("configuration", lambda: _configuration(home)),
        ("in force", lambda: _in_force(home)),
        ("message families", lambda: _families(home)),
        ("private keys", lambda: _private_keys(home)),
        ("files of the home", lambda: _files(home)),
        ("host keys", lambda: _host_keys(home)),
        ("gateway certificate", lambda: _certificate(home, now)),
        ("clock", lambda: _clock(home, now)),
        ("parties' certificates", lambda: _parties(home, now)),
        ("agreements", lambda: _agreements(home)),
        ("partners", lambda: _partners(home)),
        ("connections", lambda: _connections(home, now)),
        ("extras", lambda: _extras(home)),
        ("addresses", lambda: _addresses(home)),
        ("unfinished uploads", lambda: _unfinished_uploads(home)),
        ("store", lambda: _store(home, whole)),
        ("disk", lambda: _disk(home)),
        ("node", lambda: _node(home)),
    )
    return list(_results(checks))


class _Unwell(Exception):
    def __init__(self, words: Words) -> None:
        super().__init__(words.en)
        self.zh = words.zh


def _results(checks: Checks) -> Iterator[dict[str, Any]]:
    for name, check in checks:
        well = False
        try:
            words, well = check(), True
        except (_Unwell, BadSettings, Unusable) as error:
            words = Words(error.zh, str(error))
        except DBAPIError as error:  # without the library's text and link
            words = Words(f"数据库不能使用（{error.orig}）", str(error.orig))
        except Exception as error:  # whatever fails is what the operator wants to know
            words = _unforeseen(error)
        yield {"check": name, "ok": well, "detail": words.en, "zh": words.zh}


def _unforeseen(error: Exception) -> Words:
    en = str(error) or type(error).__name__
    return Words(f"不能检查（{en}）", en)


def _configuration(home: Home) -> Words:
    policy, routes = home.policy(), home.routes()
    for name, each in home.settings().backend.items():
        check_sandbox(name, each)
    number = len(routes.route)
    return Words(f"策略 {policy.version}，递交线路 {number} 条", f"policy {policy.version}, {number} routes")


def _in_force(home: Home) -> Words:
    if different := differing(home):
        raise _Unwell(different)
    if home.served_by() is None:
        return Words("网关未运行", "no node runs")
    return Words("网关所用的与现有文件一致", "the node runs by the files as they are")


def _families(home: Home) -> Words:
    families = home.families()
    number, digest = len(families.types), families.digest[:12]
    return Words(f"报文种类 {number} 种，规则集 {digest}", f"{number} message types, rule set {digest}")


def _private_keys(home: Home) -> Words:
    for key in (*host_key_files(home.keys), home.signing_key):
        mode = stat.S_IMODE(os.stat(key).st_mode)
        if mode & 0o077:
            raise _Unwell(
                Words(
                    f"其他用户可以读取 {key.name}（权限 {mode:o}），请改为 0600",
                    f"{key.name} can be read by others (mode {mode:o})",
                )
            )
    return Words("仅属主可读", "readable by their owner only")


def _files(home: Home) -> Words:
    """Checks file permissions, also of files that an earlier release created under the umask of its time.
    Folders that the settings open to others are left out; one folder stands for all packages below it."""
    settings = home.settings()
    others = {
        home.path / folder
        for each in (*settings.backend.values(), *settings.partner.values())
        if (folder := getattr(each, "folder", None)) is not None
    }
    open_: list[str] = []
    waiting = [home.path]
    while waiting:
        path = waiting.pop()
        if path in others or path.is_symlink():
            continue
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            open_.append(str(path.relative_to(home.path)))
        if path.is_dir() and path != home.blobs:
            waiting += path.iterdir()
    if open_:
        named = ", ".join(sorted(open_)[:_NAMED])
        return Words(
            f"其他用户可以读取 {len(open_)} 个文件：{named}；收回权限：chmod -R go= {home.path}",
            f"{len(open_)} can be read by others: {named}; to end that: chmod -R go= {home.path}",
        )
    return Words("仅属主可用", "for their owner only")


def _host_keys(home: Home) -> Words:
    keys = read_host_keys(home.keys)
    lines = [Words(*(f"{each.file} {each.fingerprint}",) * 2) for each in keys]
    missing = [kind for kind in KINDS if kind not in {each.kind for each in keys}]
    if missing:
        # Not a fault: clients that pinned the present keys must be informed before another one is added.
        make = f"ssh-keygen -t {missing[0]} -N '' -f keys/ssh_host_{missing[0]}"
        lines.append(
            Words(
                f"缺少 {'、'.join(missing)} 主机密钥，部分客户端需要："
                f"用 {make} 生成，公布指纹后 gateway reload",
                f"none of kind {', '.join(missing)}, which some clients need: make one with {make}, "
                "publish its fingerprint, gateway reload",
            )
        )
    return joined(lines) or Words("", "")


def _certificate(home: Home, now: datetime) -> Words:
    pem = home.certificate.read_text()
    home.signer()
    parsed = certificate(pem)
    if why := outside(parsed, now):
        valid = f"有效期{moment_zh(parsed.begins)}至{moment_zh(parsed.ends)}"
        raise _Unwell(
            Words(f"证书不在有效期内（{valid}）：暂停校验和签发回执", f"{why}: nothing is judged or signed")
        )
    if parsed.ends < now + WARN_BEFORE:
        raise _Unwell(Words(f"{_day_zh(parsed.ends)}到期，请及时更换", f"ends on {parsed.ends.date()}"))
    return Words(f"{_day_zh(parsed.ends)}到期", f"until {parsed.ends.date()}")


def _day_zh(at: datetime) -> str:
    return day_zh(china_date(at))


def _clock(home: Home, now: datetime) -> Words:
    with home.reading() as reader:
        why = behind(reader, now)
    if why:
        raise _Unwell(
            Words(
                "本机时钟落后于日志：暂停校验和签发回执（见 gateway clock accept --help）",
                f"{why}: nothing is judged or signed (gateway clock accept --help)",
            )
        )
    return Words("不落后于日志", "not behind the log")


def _parties(home: Home, now: datetime) -> Words:
    with home.register() as register:
        parties = register.parties()
    last = {party.code: last_end(party.certificates) for party in parties}
    ending = {code: ends for code, ends in last.items() if ends is not None and ends < now + WARN_BEFORE}
    if ending:
        raise _Unwell(
            Words(
                f"即将到期：{'、'.join(f'{code}（{_day_zh(ends)}）' for code, ends in ending.items())}",
                f"ending: {', '.join(f'{code} on {ends.date()}' for code, ends in ending.items())}",
            )
        )
    return Words(f"企业 {len(parties)} 家", f"{len(parties)} parties")


def _agreements(home: Home) -> Words:
    """Names agreements of which a party is not registered yet; that stops nothing, so it is not a fault."""
    with home.reading() as reader:
        unknown = one_side_unknown(reader, _NAMED)
    if not unknown:
        return Words("委托双方均已登记", "both sides of each are registered")
    named = ", ".join(f"{number} ({code})" for number, code in unknown)
    named_zh = "、".join(f"{number}（{code}）" for number, code in unknown)
    more, more_zh = (f", the first {_NAMED}", f"，前 {_NAMED} 份") if len(unknown) == _NAMED else ("", "")
    return Words(
        f"一方企业未登记，登记后方可使用{more_zh}：{named_zh}",
        f"not counted until the party is registered{more}: {named}",
    )


def _partners(home: Home) -> Words:
    """Checks that settings and register agree about the partners who host their own folders."""
    visited = {name: each.account for name, each in home.settings().partner.items()}
    with home.register() as register:
        registered = register.parties()
    by_account = {each.account.name: each.account.delivery for each in registered if each.account is not None}
    wrong = []
    for name, account in visited.items():
        if account not in by_account:
            wrong.append(Words(f"{name}：没有账户 {account}", f"{name}: no account is named {account}"))
        elif by_account[account] is not Delivery.FOLDER:
            wrong.append(
                Words(
                    f"{name}：账户 {account} 的送达方式是 {by_account[account]}，应为 {Delivery.FOLDER}",
                    f"{name}: the delivery of account {account} is {by_account[account]}, "
                    f"not {Delivery.FOLDER}",
                )
            )
    named = list(visited.values())
    wrong += [
        Words(f"{account}：不止一个合作方使用", f"{account}: named by more than one partner")
        for account in sorted(set(named))
        if named.count(account) > 1
    ]
    wrong += [
        Words(
            f"账户 {account}：回执应送达目录，但 gateway.toml 中没有对应的合作方",
            f"account {account}: its receipts go to folders, and no partner in gateway.toml is it",
        )
        for account, delivery in sorted(by_account.items())
        if delivery is Delivery.FOLDER and account not in named
    ]
    if problems := joined(wrong):
        raise _Unwell(problems)
    return Words(f"访问 {len(visited)} 个合作方", f"{len(visited)} visited")


def _connections(home: Home, now: datetime) -> Words:
    """Checks, without connecting, that the files named in the settings are usable, and that a broker is
    configured if receipts are to be sent over AMQP."""
    settings, named = home.settings(), named_files(home)
    wrong = [problem for each in named if (problem := each.unusable or each.exposed)]
    wrong += [
        Words(f"{each.setting}：{_day_zh(each.ends)}到期", f"{each.setting}: ends on {each.ends.date()}")
        for each in named
        if each.ends is not None and each.ends < now + WARN_BEFORE
    ]
    if settings.amqp is None:
        with home.register() as register:
            registered = register.parties()
        wrong += [
            Words(
                f"账户 {each.account.name}：回执应经 AMQP 送达，但 gateway.toml 中没有 [amqp]",
                f"account {each.account.name}: its receipts go out over AMQP, and gateway.toml has no [amqp]",
            )
            for each in registered
            if each.account is not None and each.account.delivery is Delivery.AMQP
        ]
    if problems := joined(wrong):
        raise _Unwell(problems)
    return Words(
        f"密钥、证书、口令文件 {len(named)} 个", f"{len(named)} files of keys, certificates and passwords"
    )


def _extras(home: Home) -> Words:
    if home.settings().tracing is None:
        return Words("未使用", "none wanted")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        install = "pip install 'customs-edi-gateway[tracing]'"
        raise _Unwell(
            Words(f"tracing 缺少附加组件，请安装：{install}", f"tracing: needs the extra: {install}")
        )
    return Words("tracing", "tracing")


def _addresses(home: Home) -> Words:
    if home.served_by() is not None:
        return Words("网关正在监听", "listened on by the node")
    if wrong := joined([*addresses_in_use(home.settings())]):
        raise _Unwell(wrong)
    return Words("可用", "free")


def _unfinished_uploads(home: Home) -> Words:
    """Unfinished uploads, as reported by the node, which alone knows them."""
    with home.reading() as reader:
        unfinished = [alarm for alarm in open_alarms(reader) if alarm.key.startswith(UNFINISHED)]
    if problems := joined([Words(alarm.zh, alarm.en) for alarm in unfinished]):
        raise _Unwell(problems)
    return Words("没有", "none is left")


def _store(home: Home, whole: bool) -> Words:
    with home.reading() as reader:
        checked = reader.execute(text("PRAGMA quick_check")).scalars().all() if whole else ["ok"]
        held = reader.execute(text("SELECT count(*) FROM messages WHERE state = 'held'")).scalar_one()
    if checked != ["ok"]:
        damage = "; ".join(checked)
        raise _Unwell(Words(f"数据库已损坏（{damage}）", damage))
    looked = "no damaged page" if whole else "it can be read (--whole reads every page)"
    looked_zh = "没有损坏的页" if whole else "可以读取（逐页检查请加 --whole）"
    return Words(
        f"{looked_zh}；内容有无改动请用 gateway audit verify 检查；暂停处理的报文 {held} 份",
        f"{looked}; gateway audit verify checks that nothing in it was changed; {held} messages held",
    )


def _disk(home: Home) -> Words:
    free = shutil.disk_usage(home.path).free
    if free < SPARE_BYTES:
        raise _Unwell(Words(f"仅剩 {free // 1024**2} MB，请清理或扩容", f"{free // 1024**2} MB free"))
    return Words(f"剩余 {free // 1024**3} GB", f"{free // 1024**3} GB free")


def _node(home: Home) -> Words:
    if home.served_by() is None:
        return Words("未运行", "not running")
    return Words("运行中", "running")
