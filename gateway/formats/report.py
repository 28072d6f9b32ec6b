"""The readable report of a refusal (拒收说明), which lies beside the file in FailBox, and the headings of
findings wherever people read them."""

from collections.abc import Sequence
from typing import Final

from gateway.model.faults import LONGEST_VALUE, Finding, Place, Severity
from gateway.model.waits import Words

SEVERITIES_ZH: Final = {Severity.ERROR: "错误", Severity.WARNING: "警告"}


def heading(severity: str, code: str, place: Place) -> Words:
    """The heading of a finding: severity, code and place. `code` is the rule's number if there is one."""
    line_zh = f"第 {place.line} 行" if place.line else ""
    line = f"line {place.line}" if place.line else ""
    where_zh = " ".join(filter(None, [place.file, line_zh]))
    where = " ".join(filter(None, [place.file, line, place.xpath]))
    return Words(
        "  ".join(filter(None, [f"{SEVERITIES_ZH[Severity(severity)]} {code}", where_zh, place.xpath])),
        "  ".join(filter(None, [f"{severity} {code}", where])),
    )


def filled(value: str) -> Words:
    """The sender's value in a finding, with a remark where it was cut."""
    cut = _cut(value)
    return Words(f"所填内容：{value}{cut.zh}", f"value: {value}{cut.en}")


def _cut(value: str) -> Words:
    if len(value) < LONGEST_VALUE or not value.endswith("…"):
        return Words("", "")
    return Words(
        f"（过长，只列前 {LONGEST_VALUE - 1} 个字符）", f" (the first {LONGEST_VALUE - 1} characters)"
    )


def report(name: str, message: str, findings: Sequence[Finding]) -> bytes:
    """The report as UTF-8 text. `name` is the file's name; `message` is the id of the message, empty where it
    never got one."""
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = len(findings) - errors
    counted = f"错误 {errors} 处" + (f"、警告 {warnings} 处" if warnings else "")
    lines = [
        f"{name}：网关拒收，{counted} / refused",
        *([f"报文号 / message：{message}"] if message else []),
        "",
    ]
    return "\n".join([*lines, *(line for finding in findings for line in _lines(finding))]).encode()


def _lines(finding: Finding) -> list[str]:
    head = heading(finding.severity, finding.rule or finding.code, finding.place)
    value = (
        [] if finding.value is None else [f"    所填内容 / value：{finding.value}{_cut(finding.value).zh}"]
    )
    return [head.zh, f"    {finding.zh}", head.en, f"    {finding.en}", *value, ""]
