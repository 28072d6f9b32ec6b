"""Words that are stored or sent keep their spelling: whatever is renamed in the code, those of an earlier
release are still there. A name may gain a synonym; it never loses one, except the columns and indexes that
migrations 0016 and 0017 moved into queues of their own.

`python -m tests.test_stored_words` prints what the code has now, to extend tests/stored_words.json with.
"""

import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

import pytest
from pydantic import BaseModel
from typer.core import TyperOption

from adapters.cli.messages.filters import Filters
from adapters.home.audit import Wrong
from adapters.monitor.metrics import Metrics
from adapters.store.tables import operations
from docs.generate import ROOT
from docs.parts import leaves
from gateway.model.faults import Finding, Place
from gateway.model.message import Enclosure, Key, Pdf, Submission
from gateway.model.risk_hint import Hint

RECORD: Final = Path(__file__).with_name("stored_words.json")
LEVELS: Final = {"debug", "info", "warning", "error", "exception", "critical"}
# Written as JSON with the names of their fields.
WRITTEN: Final = (Filters, Wrong, Finding, Place, Enclosure, Key, Pdf, Submission, Hint)
WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/#*-]{2,}")
Words = dict[str, list[str]]
T = TypeVar("T")


def _paths() -> list[Path]:
    folders = (path for folder in ("gateway", "adapters") for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in folders if "migrations" not in path.parts)


@cache
def _trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in (*_paths(), ROOT / "cli.py")]


def _modules() -> list[ModuleType]:
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in _paths())
    return [importlib.import_module(name.removesuffix(".__init__")) for name in names]


def _classes(base: type[T]) -> Iterator[type[T]]:
    for module in _modules():
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
                yield value


def _enums() -> Words:
    """The values of each enumeration: states, events, fault codes, kinds."""
    return {
        class_.__qualname__: sorted(str(member.value) for member in class_)
        for class_ in _classes(Enum)
        if all(isinstance(member.value, str) for member in class_)
    }


def _models() -> Words:
    """The keys of each section of TOML, and of what is read as JSON."""
    return {class_.__qualname__: sorted(class_.model_fields) for class_ in _classes(BaseModel)}


def _commands() -> Words:
    return {
        name: sorted(
            option
            for parameter in command.params
            if isinstance(parameter, TyperOption)
            for option in (*parameter.opts, *parameter.secondary_opts)
        )
        for name, command in leaves()
    }


def _metrics() -> list[str]:
    return sorted(metric.name for metric in Metrics().registry.collect())


def _log_events() -> Words:
    """Each event of the log with its fields."""
    collected: dict[str, set[str]] = {}
    for node in (node for tree in _trees() for node in ast.walk(tree)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log" | "_log"), attr=level),
                args=[ast.Constant(value=str(event)), *_],
                keywords=keywords,
            ) if level in LEVELS:
                collected.setdefault(event, set()).update(keyword.arg for keyword in keywords if keyword.arg)
    return {event: sorted(named) for event, named in collected.items()}


def _literals() -> list[str]:
    """Words between quotes: keys of JSON, headers, queues, elements of XML, names of files and variables."""
    modules = {module.__name__ for module in _modules()}
    return sorted(
        {
            node.value
            for tree in _trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if WORD.fullmatch(node.value) and node.value not in modules
        }
    )


def words() -> Mapping[str, Words]:
    tables = operations.metadata.tables.values()
    return {
        "enumerations": _enums(),
        "models": _models(),
        "written": {class_.__name__: sorted(field.name for field in fields(class_)) for class_ in WRITTEN},
        "tables": {table.name: sorted(column.name for column in table.columns) for table in tables},
        "commands": _commands(),
        "metrics": {"": _metrics()},
        "log events": _log_events(),
        "literals": {"": _literals()},
    }


def _lost(kind: str, name: str, recorded: list[str], now: Words) -> set[str]:
    """What of the recorded words is gone. A class may have another name by now: where no other has all of
    them, those count that the class of the old name lacks."""
    if kind in ("enumerations", "models", "written") and any(
        set(recorded) <= set(present) for present in now.values()
    ):
        return set()
    return set(recorded) - set(now.get(name, []))


@pytest.mark.parametrize("kind", json.loads(RECORD.read_text()))
def test_no_stored_or_sent_word_is_lost(kind: str) -> None:
    recorded: Words = json.loads(RECORD.read_text())[kind]
    now = words()[kind]
    lost = {name: sorted(_lost(kind, name, before, now)) for name, before in recorded.items()}
    assert not {name: missing for name, missing in lost.items() if missing}


def test_a_stored_word_that_is_lost_is_noticed() -> None:
    assert _lost("enumerations", "State", ["held", "kept"], {"State": ["held"]}) == {"kept"}
    assert _lost("enumerations", "State", ["held"], {"MessageState": ["held", "kept"]}) == set()
    assert _lost("commands", "gateway demo", ["--lang"], {"gateway": ["--lang"]}) == {"--lang"}


if __name__ == "__main__":
    json.dump(words(), sys.stdout, indent=1, ensure_ascii=False, sort_keys=True)
    print()
