"""The shape of the code: imports point one way, the core does no IO, one module parses XML."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path

import pytest

from docs.generate import ROOT
from gateway.families import Families

NOUNS = {
    f"gateway.{noun}"
    for noun in (
        *(
            "china",
            "message",
            "states",
            "faults",
            "fault_catalogue",
            "parties",
            "agreements",
            "reform",
            "documents",
            "triage",
        ),
        *("monitoring", "alarms", "policy", "decision", "dossier", "ports", "breaker", "destinations"),
        *("mailbox", "unfinished"),
    )
}
# What does things or strings them together; everything else in gateway/ is what the stages stand on.
DOING = {
    f"gateway.{name}"
    for name in (
        *(
            "pipeline",
            "node",
            "dispatch",
            "outbox",
            "pace",
            "customs_answers",
            "reminders",
            "operations",
            "settings",
            "in_force",
            "signing",
        ),
        *(
            "next_needed",
            "connections",
            "undertakings",
            "delivery_acts",
            "dxp",
            "watching",
            "observing",
            "alarm_conditions",
        ),
    )
}
OUTSIDE = {
    "adapters", "alembic", "asyncio", "boto3", "cli", "fcntl", "glob", "http", "logging",
    "multiprocessing", "os", "paramiko", "random", "secrets", "select", "shutil", "signal", "socket",
    "sqlalchemy", "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "threading", "time", "typer",
    "urllib",
}  # fmt: skip
ALLOWED = {
    "gateway.connections": {"urllib"},  # to take an address apart
    "gateway.watching": {"urllib"},
    "gateway.node": {"asyncio", "random", "structlog"},
    "gateway.dispatch": {"asyncio", "random", "structlog"},
    "gateway.customs_answers": {"asyncio", "structlog"},
    "gateway.reminders": {"structlog"},
    # The seek constant, and a copy from one stream to another: nothing of the host.
    "gateway.submission": {"os", "shutil"},
}
HARMLESS = {"os": {"SEEK_END"}, "shutil": {"copyfileobj"}}
PARSING = {
    "fromstring", "fromstringlist", "parse", "parseid", "XML", "XMLID", "XMLDTDID", "HTML", "iterparse",
    "iterwalk", "XMLParser", "XMLPullParser", "HTMLParser", "HTMLPullParser", "ETCompatXMLParser",
    "XMLTreeBuilder", "DTD",
}  # fmt: skip
OTHER_PARSERS = (
    "xml.etree", "xml.dom", "xml.parsers", "xml.sax", "lxml.html", "lxml.objectify", "lxml.sax", "bs4",
    "defusedxml", "signxml.verifier", "signxml.XMLVerifier",
)  # fmt: skip
LONGEST = 400
TABLES = {"fault_catalogue.py"}  # looked up in, not read through


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imported(path: Path) -> set[str]:
    """Full names: `from gateway import xml` is `gateway.xml`, `from lxml import etree` is `lxml.etree`."""
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def _modules(path: Path, among: set[str]) -> set[str]:
    """Which of the modules `among` a file imports, or imports something from."""
    return {
        module
        for module in among
        for name in _imported(path)
        if name == module or name.rpartition(".")[0] == module
    }


CORE = _sources("gateway")
ALL = [*CORE, *_sources("adapters", "config", "schemas"), ROOT / "cli.py"]
CORE_NAMES = {_name(path) for path in CORE}


def _identified(path: Path) -> str:
    return _name(path)


@pytest.mark.parametrize("path", CORE, ids=_identified)
def test_the_core_imports_nothing_that_reaches_outside(path: Path) -> None:
    used = {name.split(".")[0] for name in _imported(path)} & OUTSIDE
    assert used <= ALLOWED.get(_name(path), set())


@pytest.mark.parametrize("path", CORE, ids=_identified)
def test_the_core_opens_no_files_and_asks_no_clock(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "Path", "input", "print"), f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {
                ("datetime", "now"),
                ("datetime", "utcnow"),
                ("datetime", "today"),
                ("date", "today"),
            }, f"line {node.lineno}"
            harmless = HARMLESS.get(node.value.id)
            assert harmless is None or node.attr in harmless, f"line {node.lineno}"


def test_only_what_the_node_runs_is_asynchronous() -> None:
    asynchronous = {
        _name(path)
        for path in CORE
        if any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(_tree(path)))
    }
    # ports and mailbox describe what adapters do; they run nothing.
    assert asynchronous == {
        "gateway.node",
        "gateway.destinations",
        "gateway.dispatch",
        "gateway.customs_answers",
        "gateway.reminders",
        "gateway.ports",
        "gateway.mailbox",
    }


def test_nouns_stand_on_nouns_alone() -> None:
    for path in CORE:
        if _name(path) in NOUNS:
            assert _modules(path, CORE_NAMES - {"gateway"}) <= NOUNS, path


def test_stages_and_what_they_stand_on_know_nothing_of_what_uses_them() -> None:
    for path in CORE:
        if _name(path) not in DOING:
            assert not _modules(path, CORE_NAMES) & DOING, path


def test_what_the_stages_stand_on_knows_no_stage() -> None:
    stages = {name for name in CORE_NAMES if name.startswith("gateway.stages.")}
    assert len(stages) == 13
    for path in CORE:
        if _name(path) not in DOING | stages:
            assert not _modules(path, CORE_NAMES) & stages, path


def test_imports_of_the_core_make_no_circle() -> None:
    graph = {_name(path): _modules(path, CORE_NAMES - {"gateway", "gateway.stages"}) for path in CORE}
    TopologicalSorter(graph).prepare()


def test_adapters_do_not_know_the_command() -> None:
    for path in _sources("adapters"):
        assert not _modules(path, {"cli", "tests", "docs", "bench"}), path


def test_adapters_of_one_role_do_not_know_those_of_another() -> None:
    roles = ("channels", "backends", "stores", "blobs")
    for path in _sources("adapters"):
        own = path.relative_to(ROOT / "adapters").parts[0]
        if own in roles:
            others = {
                role for name in _imported(path) for role in roles if name.startswith(f"adapters.{role}")
            }
            assert others <= {own}, path


def test_the_command_only_joins_command_groups() -> None:
    known = {name for name in _imported(ROOT / "cli.py") if name.split(".")[0] in ("adapters", "gateway")}
    assert all(name.startswith("adapters.operators.") for name in known)


@pytest.mark.parametrize("path", [path for path in ALL if _name(path) != "gateway.xml"], ids=_identified)
def test_only_one_module_parses_xml(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "etree":
            assert node.attr not in PARSING, f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "lxml.etree":
            pytest.fail(f"line {node.lineno}: lxml.etree is used by its name, so that this test can see it")
    allowed = {"xml.sax.saxutils.escape"}
    foreign = {name for name in _imported(path) if name.startswith(OTHER_PARSERS)} - allowed
    assert not foreign


def test_the_slow_validator_is_used_to_name_faults_only() -> None:
    users = {_name(path) for path in ALL if any(name.startswith("xmlschema") for name in _imported(path))}
    assert users == {"gateway.schema", "gateway.schema_faults", "gateway.type_words"}


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of the code; docstrings, which may explain by example, are left out."""
    tree = _tree(path)
    explaining = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explaining:
            yield node.lineno, node.value


def test_no_family_is_known_to_the_core_by_name() -> None:
    # What the core itself writes is a family for the others' sake.
    types = [each for each in Families.load(files("schemas")).types if each.family != "gateway"]
    # "Root" is what a client of cn-dec calls its failure document, and a word of its own.
    names = {each.family for each in types} | {each.name for each in types} - {"Root"}
    names |= {each.root[1:].partition("}")[0] for each in types if each.root.startswith("{")}
    assert {"cn-dec", "DecMessage", "DEC_RESULT"} <= names
    for path in CORE:
        for line, text in _strings(path):
            assert not any(name in text for name in names), f"{path}:{line}"


@pytest.mark.parametrize("path", _sources("gateway", "adapters"), ids=_identified)
def test_no_file_is_too_long_to_be_read_at_once(path: Path) -> None:
    if "migrations" not in path.parts and path.name not in TABLES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
