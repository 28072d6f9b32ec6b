"""Message families: folders of schemas, rules, code lists and a profile, compiled.

A new message type needs such a folder and no code: `profile.toml` says how a message is recognised, which
files judge it and where its key facts are found (the models below are its format).
"""

import csv
import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Final, Literal, Self

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.families.customs_codes import AnswerForm, CustomsCodes
from gateway.families.facts import (
    PlainPaths,
    Translation,
    each_text,
    nodes,
    only_once,
    text,
    texts,
    total,
    translation,
)
from gateway.families.notice_texts import NoticeTexts
from gateway.families.schema import Schema
from gateway.families.schematron import RuleSet
from gateway.formats.reading import stripped
from gateway.formats.wrapper import Wrapper
from gateway.model.answer import AnswerKind
from gateway.model.faults import Fault, Finding, MessageRejected, finding
from gateway.model.message import Operation
from gateway.model.parties import Role
from gateway.model.states import CustomsStatus

PROFILE: Final = "profile.toml"
NOTICES: Final = "notices.toml"
_LONGEST_FACT: Final = 1000
_WORDS: Final = "text"  # the fact with an answer's words for people, which one answer may have several times
Kind = Literal["declaration", "agreement-request", "agreement-notice", "documents", "answer"]
# Messages of these kinds inform and declare nothing, so customs does not answer them.
_INFORMING: Final = ("agreement-notice", "documents")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Operation(_Section):
    fact: str
    declare: tuple[str, ...]


class _Answer(_Section):
    kind: AnswerKind
    statuses: str | None = None


class _Refusal(_Section):
    template: str
    unrecognised: bool = False


class _Text(_Section):
    free: tuple[str, ...] = ()
    private: tuple[str, ...] = ()


class _Wrapper(_Section):
    root: str
    head: str
    compressed: str
    content: str


class _Type(_Section):
    name: str
    root: str
    kind: Kind
    schema_file: str = Field(alias="schema")
    rules: str | None = None
    identity: str | None = None
    sender: tuple[str, ...] = ()
    senders: tuple[Role, ...] = ()
    operation: _Operation | None = None
    answer: _Answer | None = None
    signed: bool = False
    text: _Text = _Text()
    facts: dict[str, str] = {}
    numbers: dict[str, str] = {}
    lists: dict[str, str] = {}
    translate: dict[str, str] = {}

    @model_validator(mode="after")
    def _translates_what_is_there(self) -> Self:
        if unknown := self.translate.keys() - self.facts.keys():
            raise ValueError(f"{self.name} has no fact {', '.join(sorted(unknown))} to translate")
        return self

    @model_validator(mode="after")
    def _says_who_sends_it(self) -> Self:
        if (self.answer is None) != bool(self.senders):
            raise ValueError(f"{self.name}: senders are named of what parties send, of answers never")
        return self


class _Profile(_Section):
    namespaces: dict[str, str] = {}
    refusal: _Refusal | None = None
    wrapper: _Wrapper | None = None
    type: tuple[_Type, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageType:
    """One type of message, compiled. Threads must not share one, since libxml2 compiled its parts.

    `senders` are the roles of the parties that may send it, empty for an answer. `sender_facts` names the
    facts that must name the sending party where they are present. `answer` says how to read it, None if it is
    no answer. If `signed`, each message must bear an XML signature, whatever else its sender may send
    unsigned. `free` are the elements that hold free text, `private` those whose values are masked in faults,
    both by local names.
    """

    family: str
    version: str
    name: str
    kind: Kind
    root: str
    schema: Schema
    rules: RuleSet | None
    senders: tuple[Role, ...]
    sender_facts: tuple[str, ...]
    answer: AnswerForm | None
    signed: bool
    free: frozenset[str]
    private: frozenset[str]
    _identity: etree.XPath | None
    _plain: PlainPaths
    _facts: Mapping[str, etree.XPath | None]  # None where `_plain` finds it
    _numbers: Mapping[str, etree.XPath]
    _lists: Mapping[str, etree.XPath]
    _translations: Mapping[str, Translation]
    _once: tuple[Callable[[etree._Element], str], ...]
    _operation: _Operation | None

    def facts(self, root: etree._Element) -> dict[str, str]:
        """The facts that the profile names and the message has, without white space around them.

        Each is cut to 1,000 characters: a document that its schema will refuse must not fill registers and
        receipts. A number is the sum of its nodes, as `plain` writes it. A list is the different texts of its
        nodes, separated by blanks. A fact that the profile translates has the code of the translation,
        whichever code the message uses.
        """
        found = self._plain.elements(root)
        values = {
            name: text(path(root)) if path is not None else stripped(found[name].text)
            for name, path in self._facts.items()
            if path is not None or name in found
        }
        values |= {name: total(path(root)) for name, path in self._numbers.items()}
        values |= {name: texts(path(root)) for name, path in self._lists.items()}
        return {name: self.translated(name, value[:_LONGEST_FACT]) for name, value in values.items() if value}

    def translated(self, fact: str, code: str) -> str:
        """The profile's translation of a code of this fact; the code itself where there is none."""
        return self._translations.get(fact, {}).get(code, code)

    def listed(self, name: str, root: etree._Element) -> tuple[str, ...]:
        """The different texts of a list of the profile, not cut; empty where the type has no such list."""
        path = self._lists.get(name)
        return () if path is None else each_text(path(root))

    def has_list(self, name: str) -> bool:
        return name in self._lists

    def several(self, root: etree._Element) -> str:
        """The element or the differing texts of an answer's fact that occur more than once; empty where the
        document is a single answer, and for types that are no answers."""
        return next((repeated for each in self._once if (repeated := each(root))), "")

    def operation(self, facts: Mapping[str, str]) -> Operation:
        """What the message asks for. A type whose profile names no operations has no temporary saves: each of
        its messages declares or informs."""
        if self.kind in _INFORMING:
            return Operation.INFORM
        if self._operation is None or facts.get(self._operation.fact) in self._operation.declare:
            return Operation.DECLARE
        return Operation.SAVE

    def identified_by(self, root: etree._Element) -> list[etree._Element]:
        """The elements that distinguish messages with the same goods."""
        return [] if self._identity is None else nodes(self._identity(root))

    def element_of(self, fact: str, root: etree._Element) -> etree._Element | None:
        """The element whose text a fact is; None where it is absent, or where the fact is computed."""
        path = self._facts[fact]
        if path is None:
            return self._plain.elements(root).get(fact)
        selected = path(root)
        first = selected[0] if isinstance(selected, list) and selected else None
        return first if isinstance(first, etree._Element) else None


class Families:
    """All message types, looked up by root element. Each thread and process loads its own."""

    def __init__(
        self,
        types: tuple[MessageType, ...],
        refusals: Mapping[str | None, str],
        notices: Mapping[str, NoticeTexts],
        wrappers: Mapping[str, Wrapper],
        digest: str,
    ) -> None:
        self.types = types
        self.digest = digest
        self._refusals = refusals
        self._notices = notices
        self._wrappers = wrappers
        self._by_root = {each.root: each for each in types}
        if len(self._by_root) != len(types):
            raise ValueError("two message types have the same root element")

    @classmethod
    def load(cls, folder: Traversable) -> Self:
        """Compiles every `<family>/<version>/` that has a profile. `digest` is the SHA-256 (hex) over the
        names and bytes of all their files; a receipt states it, so that the rules applied are known."""
        types: list[MessageType] = []
        refusals: dict[str | None, str] = {}
        notices: dict[str, NoticeTexts] = {}
        wrappers: dict[str, Wrapper] = {}
        digest = hashlib.sha256()
        for family, version, place in _folders(folder):
            files = dict(_files(place))
            for name, body in files.items():
                digest.update(f"{family}/{version}/{name}\0{len(body)}\0".encode() + body)
            profile = _Profile.model_validate(tomllib.loads(files[PROFILE].decode()))
            own = _types(family, version, profile, files)
            types += own
            refusals |= _refusals(family, profile)
            if profile.wrapper is not None:
                wrappers[profile.wrapper.root] = Wrapper(family=family, **profile.wrapper.model_dump())
            if NOTICES in files:
                notices[family] = NoticeTexts.read(files[NOTICES].decode(), _statuses(own))
        return cls(tuple(types), refusals, notices, wrappers, digest.hexdigest())

    def senders_listing(self, name: str) -> tuple[Role, ...]:
        """The roles that may send a message of any type with this list."""
        return tuple(
            dict.fromkeys(role for each in self.types if each.has_list(name) for role in each.senders)
        )

    def recognise(self, root: etree._Element) -> MessageType:
        """The type of this message; raises `MessageRejected` where no family knows its root element."""
        name = etree.QName(root).text
        kind = self._by_root.get(name)
        if kind is None:
            raise MessageRejected(self._unknown(root))
        return kind

    def wrapper(self, root: etree._Element) -> Wrapper | None:
        """The wrapper whose root element this is; None where it is a message itself."""
        return self._wrappers.get(etree.QName(root).text)

    def _unknown(self, root: etree._Element) -> Finding:
        """The fault of an unknown root element, with the namespace in which the element is known, if any."""
        name = etree.QName(root)
        namespaces = [
            each.namespace or "-"
            for each in map(etree.QName, self._by_root)
            if each.localname == name.localname
        ]
        en, zh = (
            (f"; namespace {namespaces[0]} expected", f"，命名空间应为 {namespaces[0]}")
            if namespaces
            else ("", "")
        )
        return finding(
            Fault.FAMILY_UNKNOWN, detail=name.text + en, detail_zh=name.text + zh, line=root.sourceline
        )

    def refusal(self, family: str | None) -> str:
        """The template of the gateway's refusal in the format of this family's import clients, with `$text`
        and `$reference`. A family without one uses the template for messages that are not recognised."""
        return self._refusals.get(family) or self._refusals[None]

    def notices(self, family: str) -> NoticeTexts | None:
        """The texts of notices about this family's answers; None where only the sender is notified."""
        return self._notices.get(family)


def _folders(folder: Traversable) -> Iterator[tuple[str, str, Traversable]]:
    for family in _sorted(folder):
        for version in _sorted(family):
            if version.is_dir() and version.joinpath(PROFILE).is_file():
                yield family.name, version.name, version


def _files(place: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in _sorted(place):
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _sorted(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name) if folder.is_dir() else []


def _refusals(family: str, profile: _Profile) -> dict[str | None, str]:
    if profile.refusal is None:
        return {}
    templates: dict[str | None, str] = {family: profile.refusal.template}
    return templates | {None: profile.refusal.template} if profile.refusal.unrecognised else templates


def _statuses(types: Iterable[MessageType]) -> set[CustomsStatus | None]:
    """The statuses that the answers of these types can give a declaration."""
    forms = [each.answer for each in types if each.answer is not None]
    return {status for form in forms for status in form.codes.statuses.values()}


def _types(family: str, version: str, profile: _Profile, files: Mapping[str, bytes]) -> list[MessageType]:
    lists = {
        name.removeprefix("codes/").removesuffix(".csv"): _codes(body)
        for name, body in files.items()
        if name.startswith("codes/") and name.endswith(".csv")
    }
    schemas = {name: body for name, body in files.items() if name.endswith(".xsd")}

    def path(expression: str) -> etree.XPath:
        return etree.XPath(expression, namespaces=profile.namespaces or None, smart_strings=False)

    plain = [PlainPaths(each.facts, profile.namespaces) for each in profile.type]
    return [
        MessageType(
            family=family,
            version=version,
            name=each.name,
            kind=each.kind,
            root=each.root,
            schema=Schema(schemas, each.schema_file),
            rules=None
            if each.rules is None
            else RuleSet(files[each.rules], lists, frozenset(each.text.private)),
            senders=each.senders,
            sender_facts=each.sender,
            answer=None if each.answer is None else _answer_form(each.answer, files),
            signed=each.signed,
            free=frozenset(each.text.free),
            private=frozenset(each.text.private),
            _identity=None if each.identity is None else path(each.identity),
            _plain=found,
            _facts={
                name: None if name in found else path(expression) for name, expression in each.facts.items()
            },
            _numbers={name: path(expression) for name, expression in each.numbers.items()},
            _lists={name: path(expression) for name, expression in each.lists.items()},
            _translations={name: translation(column, files) for name, column in each.translate.items()},
            _once=()
            if each.answer is None
            else tuple(
                only_once(expression, profile.namespaces)
                for name, expression in each.facts.items()
                if name != _WORDS
            ),
            _operation=each.operation,
        )
        for each, found in zip(profile.type, plain, strict=True)
    ]


def _answer_form(answer: _Answer, files: Mapping[str, bytes]) -> AnswerForm:
    if answer.statuses is None:
        return AnswerForm(kind=answer.kind, codes=CustomsCodes.refusal())
    return AnswerForm(
        kind=answer.kind, codes=CustomsCodes.read(files[f"codes/{answer.statuses}.csv"].decode())
    )


def _codes(body: bytes) -> frozenset[str]:
    return frozenset(row["code"] for row in csv.DictReader(body.decode().splitlines()))
