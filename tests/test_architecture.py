"""The shape of the code: imports point one way, the core does no IO, one module parses XML."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path

import pytest

import cli
from docs.generate import ROOT
from gateway.families.families import Families

# Which folders of the core a folder of it may import from, beside itself.
CORE_IMPORTS: Mapping[str, Collection[str]] = {
    "model": (),
    "formats": ("model", "config"),
    "families": ("model", "formats"),
    "rules": ("model",),
    "config": ("model",),
    "receive": ("model",),
    "judge": ("model", "formats", "families", "rules"),
    "deliver": ("model", "monitor"),
    "respond": ("model", "formats", "families", "rules", "monitor"),
    "notify": ("model", "formats"),
    "dossier": ("model", "formats"),
    "monitor": ("model", "config"),
    "operate": ("model", "formats", "config"),
    "run": ("model", "config", "receive", "deliver", "respond", "notify", "monitor"),
}
STEPS = ("receive", "judge", "deliver", "respond", "notify", "operate")
# The same for adapters: those of one role do not know those of another.
ADAPTER_IMPORTS: Mapping[str, Collection[str]] = {
    "transport": ("home",),
    "store": (),
    "blobs": ("store", "home"),
    "home": ("store",),
    "channels": ("transport", "home"),
    "backends": ("transport", "home"),
    "monitor": ("store", "home"),
    "run": ("channels", "backends", "transport", "store", "blobs", "home", "monitor", "sandbox"),
    "cli": ("run", "backends", "transport", "store", "blobs", "home", "monitor"),
    "sandbox": ("backends", "transport", "store", "home", "cli"),
}
OUTSIDE = {
    "adapters", "alembic", "asyncio", "boto3", "cli", "fcntl", "glob", "http", "logging",
    "multiprocessing", "os", "paramiko", "random", "secrets", "select", "shutil", "signal", "socket",
    "sqlalchemy", "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "threading", "time", "typer",
    "urllib",
}  # fmt: skip
ALLOWED = {
    "gateway.config.connections": {"urllib"},  # to take an address apart
    "gateway.config.monitoring": {"urllib"},
    "gateway.run.worker": {"asyncio", "random", "structlog"},
    "gateway.deliver.dispatcher": {"asyncio", "random", "structlog"},
    "gateway.respond.answer_intake": {"asyncio", "structlog"},
    "gateway.notify.reminders": {"structlog"},
    # The seek constant, and a copy from one stream to another: nothing of the host.
    "gateway.formats.submission": {"os", "shutil"},
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
    """Full names: `from gateway.formats import xml` is `gateway.formats.xml`, and so on."""
    collected = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            collected |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            collected |= {f"{node.module}.{alias.name}" for alias in node.names}
    return collected


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
CORE_MODULES = {_name(path) for path in CORE if path.name != "__init__.py"}


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


def _folder(path: Path) -> str:
    return path.relative_to(ROOT).parts[1]


def _folders(path: Path, top: str) -> set[str]:
    """The folders of `top` that a file imports from, beside its own."""
    names = [name.split(".") for name in _imported(path)]
    return {name[1] for name in names if name[0] == top and len(name) > 2} - {_folder(path)}


def _inside(top: str) -> list[Path]:
    return [path for path in _sources(top) if path.parent != ROOT / top]


@pytest.mark.parametrize("path", _inside("gateway"), ids=_identified)
def test_a_folder_of_the_core_imports_only_the_folders_below_it(path: Path) -> None:
    assert _folders(path, "gateway") <= set(CORE_IMPORTS[_folder(path)])


@pytest.mark.parametrize("step", STEPS)
def test_a_step_imports_no_other_step(step: str) -> None:
    for path in _sources(f"gateway/{step}"):
        assert not _folders(path, "gateway").intersection(STEPS), path


@pytest.mark.parametrize("step", STEPS)
def test_the_ports_of_a_step_stand_in_one_file(step: str) -> None:
    places = {
        path.name
        for path in _sources(f"gateway/{step}")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
    }
    assert places <= {"ports.py"}


@pytest.mark.parametrize("path", _inside("adapters"), ids=_identified)
def test_adapters_of_one_role_do_not_import_those_of_another(path: Path) -> None:
    assert _folders(path, "adapters") <= set(ADAPTER_IMPORTS[_folder(path)])


def test_only_its_factory_imports_the_sandbox() -> None:
    users = {
        (_name(path), name)
        for path in ALL
        for name in _imported(path)
        if name.startswith("adapters.sandbox.") and not _name(path).startswith("adapters.sandbox.")
    }
    assert users == {("adapters.run.backends", "adapters.sandbox.backends.opened_sandbox")}


def _called(path: Path, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
        for node in ast.walk(_tree(path))
    )


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("sqlite_engine", {"adapters.home.home"}),
        ("Database", {"adapters.home.home"}),
        # A worker has what is in force, which the files need not say any more.
        ("Rules", {"adapters.home.home", "adapters.run.worker"}),
        # Those who sign by another key than the gateway's, and who try whether one can be used.
        (
            "XadesSigner",
            {
                "adapters.home.home",
                "adapters.home.named_files",
                "adapters.run.worker",
                "adapters.cli.init.sample_mandates",
                "adapters.sandbox.backends",
            },
        ),
    ],
)
def test_a_home_is_where_everything_is_put_together(name: str, places: Collection[str]) -> None:
    assert {_name(path) for path in ALL if _called(path, name)} == set(places)


def test_only_what_the_node_runs_is_asynchronous() -> None:
    asynchronous = {
        _folder(path)
        for path in CORE
        if path.name != "ports.py"
        and _folder(path) != "model"
        and any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(_tree(path)))
    }
    assert asynchronous == {"run", "deliver", "respond", "notify"}


def test_imports_of_the_core_make_no_circle() -> None:
    graph = {_name(path): _modules(path, CORE_MODULES) for path in CORE}
    TopologicalSorter(graph).prepare()


def test_adapters_do_not_import_the_command() -> None:
    for path in _sources("adapters"):
        assert not _modules(path, {"cli", "tests", "docs", "bench"}), path


def test_the_command_loads_no_command_before_it_is_called() -> None:
    own = {name for name in _imported(ROOT / "cli.py") if name.split(".")[0] in ("adapters", "gateway")}
    assert own == {"adapters.cli.exit_codes.INTERNAL"}
    modules = {place.module for place in cli.COMMANDS.values()}
    assert modules <= {_name(path) for path in _sources("adapters/cli", "adapters/sandbox/cli")}


@pytest.mark.parametrize(
    "path", [path for path in ALL if _name(path) != "gateway.formats.xml"], ids=_identified
)
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
    assert users == {
        "gateway.families.schema",
        "gateway.families.schema_faults",
        "gateway.families.type_descriptions",
    }


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


def test_the_core_names_no_family() -> None:
    # What the core itself writes is a family for the others' sake.
    types = [type_ for type_ in Families.load(files("schemas")).types if type_.family != "gateway"]
    # "Root" is what a client of cn-dec calls its failure document, and a word of its own.
    names = {type_.family for type_ in types} | {type_.name for type_ in types} - {"Root"}
    names |= {type_.root[1:].partition("}")[0] for type_ in types if type_.root.startswith("{")}
    assert {"cn-dec", "DecMessage", "DEC_RESULT"} <= names
    for path in CORE:
        for line, text in _strings(path):
            assert not any(name in text for name in names), f"{path}:{line}"


@pytest.mark.parametrize("path", _sources("gateway", "adapters"), ids=_identified)
def test_no_file_is_too_long_to_be_read_at_once(path: Path) -> None:
    if "migrations" not in path.parts and path.name not in TABLES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_the_document_of_the_architecture_names_what_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.]+/[\w./]*)`", text))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_state_of_a_message_is_written_in_one_place() -> None:
    """Nobody but `apply` and the row that it works with changes a row of `messages` and its state; who adds
    one says in which it begins."""
    writers = ("adapters.store.apply", "adapters.store.message_row")
    users = [path for path in _sources("adapters") if "adapters.store.message_row" in path.read_text("utf-8")]
    assert [_name(path) for path in users] == ["adapters.store.apply"]
    for path in _sources("adapters"):
        changes = any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "update"
            and ast.unparse(node.args[0]) == "messages"
            for node in ast.walk(_tree(path))
        )
        if not changes or _name(path) in writers:
            continue
        named = {node.value for node in ast.walk(_tree(path)) if isinstance(node, ast.Constant)}
        named |= {node.arg for node in ast.walk(_tree(path)) if isinstance(node, ast.keyword)}
        inserts = {"adapters.store.write.messages"}  # a message that is received
        assert "state" not in named or _name(path) in inserts, _name(path)
