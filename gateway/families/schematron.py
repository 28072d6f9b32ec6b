"""Business rules of a family: ISO Schematron (ISO/IEC 19757-3) with XPath 1.0, compiled once, run by libxml2.

Each rule becomes one XPath, its sieve, which selects the nodes where any of its assertions fails; only if it
selects something are the assertions tried one by one. Several sieves are joined into one expression, since
each evaluation has a cost. A document without faults thus takes a few evaluations, all of them in C. For the
fifteen required fields of fifty lines an XSLT took 0.7 ms and the sieve 0.6 ms, with far less machinery.

The subset of Schematron that is understood; anything else is refused when the rule set is loaded:

- `schema` holds `ns`, `let`, `pattern`; a `pattern` holds a `title` and one `rule` (so that the standard's
  "first rule that matches" has nothing to choose); a `rule` holds `assert` and `report`;
- a rule's `context` is a path from the document, or one over a variable or function;
- an assertion has an `id` (the rule's number), optionally a `flag` (the code of a fault, by default
  business-rule), `role="warning"` and `subject` (the nodes to show, one finding for each), and its sentence
  as `span class="zh"` and `span class="en"`, in which a `value-of` is replaced by its value at the subject;
- variables of `let` are evaluated once for each document, in their order.

A document that its schema refuses is judged as well, without the assertions that depend on its faulty
elements: an assertion is skipped at a node if it names a faulty element, and either that element is inside
or around the node or the assertion looks outside of the node.

No expression is ever built from a message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from lxml import etree

from gateway.families.rule_functions import FILE, functions, judging
from gateway.families.rule_functions import NAMESPACE as FUNCTIONS
from gateway.formats import xml
from gateway.formats.locations import MOST_FINDINGS, xml_path
from gateway.model.faults import Fault, Finding, Severity, finding
from gateway.model.message import Package
from gateway.model.policy import Policy
from gateway.model.shown import shown

SCHEMATRON: Final = "http://purl.oclc.org/dsdl/schematron"

_FAULTS: Final = {fault.code: fault for fault in Fault}
_HANDFUL: Final = 8  # sieves joined; more gain nothing, and one warning makes all joined rules run again

_SPACE: Final = re.compile(r"\s+")
_VARIABLE: Final = re.compile(r"\$([\w-]+)")
_LITERAL: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
# A path that leaves the node: from the document, to a parent, or along another axis than child.
_ELSEWHERE: Final = re.compile(r"\.\.|::|(?:^|[\s(|,=<>+*\[-])/")
_CHILDREN: Final = {
    "schema": {"title", "ns", "p", "let", "pattern"},
    "pattern": {"title", "p", "rule"},
    "rule": {"assert", "report"},
    "assert": {"span"},
    "report": {"span"},
    "span": {"value-of"},
}


class Faulty(NamedTuple):
    """Elements that a schema refuses, and the local names that rules must not rely on: those of the refused
    elements, of all elements inside them, and of the elements that they lack."""

    elements: frozenset[etree._Element]
    names: frozenset[str]


NOTHING: Final = Faulty(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class _Expression:
    """An XPath and the names of the variables that it uses; only these are passed, as each costs time."""

    path: etree.XPath
    variables: tuple[str, ...]

    def __call__(self, node: etree._Element, variables: Mapping[str, Any]) -> Any:
        return self.path(node, **{name: variables[name] for name in self.variables})


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence with expressions in it. `evaluated` fills them in; `str` shows each as an ellipsis."""

    parts: tuple[str | _Expression, ...]

    def __str__(self) -> str:
        return "".join(part if isinstance(part, str) else "…" for part in self.parts)

    def evaluated(self, subject: etree._Element, variables: Mapping[str, Any]) -> str:
        return "".join(part if isinstance(part, str) else part(subject, variables) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Scope:
    """The element names that an assertion depends on, `inside` the node that it is tried at or `anywhere`."""

    inside: frozenset[str]
    anywhere: frozenset[str]

    def touches(self, node: etree._Element, faulty: Faulty) -> bool:
        if not self.anywhere.isdisjoint(faulty.names):
            return True
        return not self.inside.isdisjoint(faulty.names) and any(
            node is each or node in each.iterancestors() or each in node.iterancestors()
            for each in faulty.elements
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One business rule: its number, the fault and severity if it is broken, and its sentence in both
    languages."""

    id: str
    fault: Fault
    severity: Severity
    sentences: Mapping[str, _Sentence]
    fails: _Expression
    subject: _Expression
    scope: _Scope

    @property
    def zh(self) -> str:
        return str(self.sentences["zh"])

    @property
    def en(self) -> str:
        return str(self.sentences["en"])


@dataclass(frozen=True, slots=True)
class _Rule:
    source: str
    sieve: _Expression
    assertions: tuple[Assertion, ...]


class RuleSet:
    """The compiled rules of one file. Threads must not share one, since libxml2 compiled it."""

    def __init__(
        self, source: bytes, lists: Mapping[str, frozenset[str]], private: frozenset[str] = frozenset()
    ) -> None:
        self._private = private
        schema = xml.trusted(source)
        self._namespaces = {ns.attrib["prefix"]: ns.attrib["uri"] for ns in _children(schema, "ns")}
        self._functions = functions(lists)
        self._variables: list[tuple[str, _Expression]] = []
        self._names: dict[str, frozenset[str]] = {}  # the element names in each variable's expression
        for let in _children(schema, "let"):
            name, value = let.attrib["name"], let.attrib["value"]
            self._variables.append((name, self._compile(value)))
            self._names[name] = self._named(value)
        self._rules = tuple(self._rule(pattern) for pattern in _children(schema, "pattern"))
        starts = range(0, len(self._rules), _HANDFUL)
        self._handfuls = [self._join(self._rules[start : start + _HANDFUL]) for start in starts]
        ids = [assertion.id for assertion in self.assertions]
        if len(ids) != len(set(ids)):
            raise ValueError(
                f"rule numbers used twice: {sorted(each for each in ids if ids.count(each) > 1)}"
            )

    @property
    def assertions(self) -> tuple[Assertion, ...]:
        """All rules, for documentation."""
        return tuple(assertion for rule in self._rules for assertion in rule.assertions)

    def check(
        self, root: etree._Element, package: Package, policy: Policy, faulty: Faulty = NOTHING
    ) -> list[Finding]:
        """The findings, at most `MOST_FINDINGS`, in the order of the rules. Assertions that depend on
        `faulty` elements are left out."""
        findings: list[Finding] = []
        with judging(package, policy):
            variables: dict[str, Any] = {}
            for name, value in self._variables:
                variables[name] = value(root, variables)
            for sieve, rules in self._handfuls:
                if not sieve(root, variables):
                    continue
                for rule in rules:
                    for node in rule.sieve(root, variables):
                        findings += self._findings(rule, node, variables, package, faulty)
                        if len(findings) >= MOST_FINDINGS:
                            return findings[:MOST_FINDINGS]
        return findings

    def _findings(
        self,
        rule: _Rule,
        node: etree._Element,
        variables: Mapping[str, Any],
        package: Package,
        faulty: Faulty,
    ) -> list[Finding]:
        return [
            self._finding(assertion, subject, variables, package)
            for assertion in rule.assertions
            if not assertion.scope.touches(node, faulty) and assertion.fails(node, variables)
            for subject in assertion.subject(node, variables) or [node]
        ]

    def _finding(
        self,
        assertion: Assertion,
        subject: etree._Element,
        variables: Mapping[str, Any],
        package: Package,
    ) -> Finding:
        attached = subject.tag == FILE
        return finding(
            assertion.fault,
            detail=assertion.sentences["en"].evaluated(subject, variables),
            detail_zh=assertion.sentences["zh"].evaluated(subject, variables),
            rule=assertion.id,
            severity=assertion.severity,
            file=subject.get("name") if attached else package.document_name,
            line=None if attached else subject.sourceline,
            xpath=None if attached else xml_path(subject),
            value=None if attached or subject.text is None or len(subject) else shown(subject, self._private),
        )

    def _rule(self, pattern: etree._Element) -> _Rule:
        (rule,) = _children(pattern, "rule")
        checks = [child for child in rule if _checked(child, "rule") in ("assert", "report")]
        broken = " or ".join(f"({_broken(check)})" for check in checks)
        source = f"({rule.attrib['context']})[{broken}]"
        return _Rule(
            source,
            self._compile(source),
            tuple(self._assertion(check, rule.attrib["context"]) for check in checks),
        )

    def _join(self, rules: tuple[_Rule, ...]) -> tuple[_Expression, tuple[_Rule, ...]]:
        # No union: libxml2's time for one is the product of the sizes, 10 s if two rules fail 90,000 times.
        return self._compile(" or ".join(f"boolean({rule.source})" for rule in rules)), rules

    def _assertion(self, check: etree._Element, context: str) -> Assertion:
        sentences = {span.attrib["class"]: self._sentence(span) for span in _children(check, "span")}
        return Assertion(
            id=check.attrib["id"],
            fault=_FAULTS[check.get("flag", Fault.RULE.code)],
            severity=Severity(check.get("role", Severity.ERROR)),
            sentences={language: sentences[language] for language in ("zh", "en")},
            fails=self._compile(f"boolean({_broken(check)})"),
            subject=self._compile(check.get("subject", ".")),
            scope=self._scope(context, check.attrib["test"]),
        )

    def _sentence(self, span: etree._Element) -> _Sentence:
        parts: list[str | _Expression] = [_words(span.text).lstrip()]
        for value in _children(span, "value-of"):
            parts += [self._compile(f"string({value.attrib['select']})"), _words(value.tail)]
        parts[-1] = str(parts[-1]).rstrip()
        return _Sentence(tuple(parts))

    def _scope(self, context: str, test: str) -> _Scope:
        if _ELSEWHERE.search(test) or any(self._names[name] for name in _VARIABLE.findall(test)):
            return _Scope(inside=frozenset(), anywhere=self._named(context) | self._named(test))
        return _Scope(inside=self._named(test), anywhere=self._named(context))

    def _named(self, expression: str) -> frozenset[str]:
        """The names in an expression and in its variables. Names of functions and operators are among them,
        which only matters if an element has the same name."""
        own = frozenset(_NAME.findall(_LITERAL.sub("", expression)))
        return own.union(*(self._names[name] for name in _VARIABLE.findall(expression)))

    def _compile(self, expression: str) -> _Expression:
        names = tuple(sorted(set(_VARIABLE.findall(expression))))
        namespaces = {**self._namespaces, "gw": FUNCTIONS}
        extensions = self._functions if "gw:" in expression else None
        return _Expression(etree.XPath(expression, namespaces=namespaces, extensions=extensions), names)


def _broken(check: etree._Element) -> str:
    test = check.attrib["test"]
    return f"not({test})" if etree.QName(check).localname == "assert" else test


def _children(parent: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in parent if _checked(child, etree.QName(parent).localname) == name]


def _checked(child: etree._Element, parent: str) -> str:
    name = etree.QName(child)
    if name.namespace != SCHEMATRON or name.localname not in _CHILDREN[parent]:
        raise ValueError(f"line {child.sourceline}: {name.text} is not understood in {parent}")
    return name.localname


def _words(text: str | None) -> str:
    return _SPACE.sub(" ", text or "")
