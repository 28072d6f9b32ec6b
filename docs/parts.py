"""The generated parts, each a function that returns Markdown."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperGroup

import cli
from docs import asyncapi_channel
from gateway.config.settings import Settings
from gateway.families.families import Families
from gateway.formats.report import SEVERITIES_ZH
from gateway.model.faults import Fault, Severity
from gateway.model.policy import Policy
from gateway.model.states import CUSTOMS_STATUSES_ZH, TRANSITIONS, CustomsStatus, State

_ENDS: Final = (State.CLOSED, State.REJECTED)


def states() -> str:
    """The state machine of a message as a mermaid diagram, events on the arrows."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.RECEIVED}: received"]
    for state, after in TRANSITIONS.items():
        for target in dict.fromkeys(after.values()):
            events = ", ".join(event for event, to in after.items() if to is target)
            lines.append(f"    {state} --> {target}: {events}")
    lines += [f"    {state} --> [*]" for state in _ENDS]
    return "\n".join([*lines, "```"])


def faults() -> str:
    return _table(
        ("code", "中文", "English"), ((f"`{each.code}`", each.zh, each.en) for each in Fault)
    ).replace("{detail}", "…")


# Remedies for faults whose sentence leaves the remedy to the detail.
_TO_DO_ZH: Final = {
    Fault.SCHEMA_ELEMENT: "按所述删去或更正该元素。",
    Fault.SCHEMA_MISSING: "按所述补填。",
    Fault.SCHEMA_VALUE: "按所述要求更正所填内容。",
    Fault.RULE: "按该规则的说明更正，见下面的业务规则。",
    Fault.DOCUMENT_MISSING: "把 EdocID 所列文件补入报文包，或删去该条随附单据。",
    Fault.DOCUMENT_AMBIGUOUS: "使每条 EdocID 只对应一个文件。",
    Fault.DOCUMENT_UNLISTED: "为该文件增加一条 EdocRealation，或从报文包中删去。",
    Fault.PDF_UNFIT: "按所述原因和限值重新生成 PDF。",
    Fault.DOCUMENTS_DUE: "补入所列单证后重发。",
    Fault.ZIP_IGNORED: "无须重发；下次压缩时不要包含。",
    Fault.SENDER_ROLE: "换用有资格的账户；登记有误的，请联系网关值班人员更正。",
    Fault.NOT_ASSOCIATION: "不要发送此类报文，由报关协会发送。",
    Fault.AMQP_SIZE: "经 SFTP 上传，再发取件通知。",
}


def faults_zh() -> str:
    """The faults in Chinese, with the remedy in a separate column."""
    rows = ((f"`{each.code}`", *_apart(each)) for each in Fault)
    return _table(("代码", "说明", "怎么办"), rows).replace("{detail}", "…")


def _apart(fault: Fault) -> tuple[str, str]:
    found = re.search("(?:[；。，](?:[^；。，]*的)?)(?=请|无须)", fault.zh)
    if fault in _TO_DO_ZH:
        return fault.zh, _TO_DO_ZH[fault]
    if found is None:
        return fault.zh, "按左列要求更正后重发。"
    start = found.start() + 1
    return f"{fault.zh[: found.start()]}。", fault.zh[start:]


def rules_zh() -> str:
    told = []
    for type_ in Families.load(files("schemas")).types:
        if type_.rules is None:
            continue
        rows = (
            (each.id, SEVERITIES_ZH[Severity(each.severity)], f"`{each.fault.code}`", each.zh)
            for each in type_.rules.assertions
        )
        told.append(f"### {type_.name}\n\n" + _table(("规则", "级别", "错误代码", "说明"), rows))
    return "\n\n".join(told)


def amqp_refusals() -> str:
    """Reasons for refusing a message over AMQP before it is accepted."""
    told = asyncapi_channel.refusals().items()
    return _table(("code", "means"), ((f"`{code}`", en) for code, en in told)).replace("{detail}", "…")


def rules() -> str:
    """The rules of every message type, in the order of its rule set."""
    told = []
    for type_ in Families.load(files("schemas")).types:
        if type_.rules is None:
            continue
        rows = (
            (each.id, each.severity, f"`{each.fault.code}`", each.zh, each.en)
            for each in type_.rules.assertions
        )
        title = f"### {type_.name} ({type_.family} {type_.version})\n\n"
        told.append(title + _table(("rule", "severity", "fault", "中文", "English"), rows))
    return "\n\n".join(told)


def commands() -> str:
    rows = []
    for name, command in leaves():
        purpose, *rest = (command.help or "").split("\n\n")
        example = next(text for text in rest if text.startswith("Example:"))
        shown = example.removeprefix("Example:").strip()
        rows.append((f"`{name}`", " ".join(purpose.split()), f"`{shown}`"))
    return _table(("command", "what it does", "example"), rows)


def leaves() -> Iterator[tuple[str, TyperCommand]]:
    """Every leaf command, by its full name."""
    for name in cli.COMMANDS:
        yield from _leaves(f"gateway {name}", cli.loaded(name))


def _leaves(name: str, command: TyperGroup | TyperCommand) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperCommand):
        yield name, command
        return
    for each, inner in command.commands.items():
        yield from _leaves(f"{name} {each}", cast(TyperGroup | TyperCommand, inner))


def settings() -> str:
    return _table(("key", "default", "what it is"), _fields(Settings()))


def policy() -> str:
    return _table(("key", "default", "what it is"), _fields(Policy()))


def _fields(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from _of_values(f"{prefix}{name}", field)
        else:
            yield _field(f"{prefix}{name}", field)
            if value is None:
                yield from _of_section(f"{prefix}{name}", field)


def _of_section(name: str, field: FieldInfo) -> Iterator[tuple[str, str, str]]:
    """The keys of a section that is absent by default."""
    for each in get_args(field.annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            for key, below in each.model_fields.items():
                yield _field(f"{name}.{key}", below)


def _of_values(name: str, field: FieldInfo) -> Iterator[tuple[str, str, str]]:
    """The fields of the models that are the values of a dict. If a kind distinguishes several models, their
    common fields come first, then each kind followed by its other fields."""
    (_key, models) = get_args(field.annotation)
    several = get_args(get_args(models)[0]) if get_args(models) else (models,)
    of_each = [[*_of_value(f"{name}.NAME", model)] for model in several]
    shared = [row for row in of_each[0] if all(row in rows for rows in of_each)]
    for key, default, what in shared:
        yield key, default, f"any kind: {what}" if len(several) > 1 else what
    for rows in of_each:
        yield from (row for row in rows if row not in shared)


def _of_value(name: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    for each, below in sorted(model.model_fields.items(), key=lambda item: item[0] != "kind"):
        kind = each == "kind" and get_origin(below.annotation) is Literal
        yield _field(f'{name}.kind = "{get_args(below.annotation)[0]}"' if kind else f"{name}.{each}", below)


def _field(key: str, field: FieldInfo) -> tuple[str, str, str]:
    return f"`{key}`", "required" if field.is_required() else _default(field.default), field.description or ""


def _default(value: object) -> str:
    """The default as written in the file; "none" if the file need not set it."""
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def customs_codes() -> str:
    rows = ((f"`{row['code']}`", row["customs_status"] or "–", row["meaning_en"]) for row in _channels())
    return _table(("CHANNEL", "customs status", "meaning"), rows)


def customs_codes_zh() -> str:
    rows = (
        (
            f"`{row['code']}`",
            _status_zh(row["customs_status"]),
            row["name_zh"] or row["name_zh_source_A"] or row["name_zh_source_B"],
        )
        for row in _channels()
    )
    return _table(("CHANNEL", "海关状态", "含义"), rows)


def _status_zh(status: str) -> str:
    return f"{CUSTOMS_STATUSES_ZH[CustomsStatus(status)]}（`{status}`）" if status else "–"


def _channels() -> list[dict[str, str]]:
    text = (files("schemas") / "cn-dec" / "1" / "codes" / "receipt_channel.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )
