"""Describes in words what an XSD type allows: by its documentation in both languages, else by its facets."""

from typing import Any, NamedTuple

from xmlschema import validators as xsd

from gateway.formats.xml import LANG


class TypeWords(NamedTuple):
    zh: str
    en: str


def describe(type_: Any) -> TypeWords:
    """The description of a simple type, or of a complex one with simple content. A member of a union that
    only allows the empty string is not mentioned."""
    documented = _documentation(type_)
    if documented is not None:
        return documented
    if type_.is_complex():
        return describe(type_.content)
    if isinstance(type_, xsd.XsdUnion):
        members = [describe(member) for member in type_.member_types if member.max_length != 0]
        return TypeWords("或".join(each.zh for each in members), " or ".join(each.en for each in members))
    if listed := _listed(type_):
        return TypeWords(f"{'、'.join(listed)} 之一", f"one of {', '.join(listed)}")
    if type_.primitive_type is not None and type_.primitive_type.local_name == "decimal":
        return _number(type_)
    if type_.max_length is not None:
        return TypeWords(f"文字，最多 {type_.max_length} 个字符", f"at most {type_.max_length} characters")
    if type_.patterns is not None:
        shapes = " | ".join(type_.patterns.regexps)
        return TypeWords(f"格式为 {shapes}", f"in the form {shapes}")
    return TypeWords(f"类型为 {type_.local_name}", f"of type {type_.local_name}")


def required(type_: Any) -> TypeWords:
    """The requirement on a value of the type, as the end of a sentence."""
    listed = _listed(type_)
    if listed and _documentation(type_) is None and not type_.is_complex():
        return TypeWords(f"只能填 {'、'.join(listed)}", f"must be one of {', '.join(listed)}")
    allowed = describe(type_)
    gap = " " if allowed.zh[:1].isascii() else ""
    return TypeWords(f"应为{gap}{allowed.zh}", f"must be {allowed.en}")


def called_zh(element: Any) -> str:
    """The trade's Chinese term for an element, from its documentation; empty where there is none."""
    return _texts(element).get("zh", "")


def _documentation(type_: Any) -> TypeWords | None:
    texts = _texts(type_)
    return TypeWords(texts["zh"], texts["en"]) if {"zh", "en"} <= texts.keys() else None


def _texts(component: Any) -> dict[str | None, str]:
    if component.annotation is None:
        return {}
    return {each.get(LANG): (each.text or "").strip() for each in component.annotation.documentation}


def _listed(type_: Any) -> list[str]:
    return [str(value) for value in getattr(type_, "enumeration", None) or () if value != ""]


def _is_integer(type_: Any) -> bool:
    while type_ is not None and type_.local_name != "integer":
        type_ = type_.base_type
    return type_ is not None


def _number(type_: Any) -> TypeWords:
    digits, fraction = (
        type_.get_facet(f"{{http://www.w3.org/2001/XMLSchema}}{name}")
        for name in ("totalDigits", "fractionDigits")
    )
    zh, en = "数字", "a number"
    if _is_integer(type_):
        zh, en = "整数", "a whole number"
    if type_.min_value is not None and type_.min_value >= 0:
        zh, en = f"不小于 0 的{zh}", f"{en} not below 0"
    if digits is not None:
        zh, en = f"{zh}，最多 {digits.value} 位", f"{en} of at most {digits.value} digits"
    if fraction is not None and fraction.value:
        zh, en = f"{zh}，其中小数最多 {fraction.value} 位", f"{en}, {fraction.value} of them after the point"
    return TypeWords(zh, en)
