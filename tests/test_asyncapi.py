"""The AsyncAPI document: valid by the official schema, fresh, and about the names that are used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from docs import asyncapi, generate
from docs.generate import ROOT

SCHEMA = Path(__file__).parent / "asyncapi" / "3.0.0.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8"))
    return read


def test_the_document_is_valid_by_the_schema_of_asyncapi(document: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    faults = [
        f"{error.json_path}: {error.message[:200]}" for error in Draft7Validator(schema).iter_errors(document)
    ]
    assert faults == []


def test_the_schema_would_find_a_fault(document: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    wrong = {**document, "operations": {"take": {"action": "take", "channel": {}}}}
    assert not Draft7Validator(schema).is_valid(wrong)


def test_the_asyncapi_document_agrees_with_the_code(document: dict[str, Any]) -> None:
    assert json.loads(asyncapi.text()) == document, "run: python -m docs.generate"
    assert ROOT / "docs" / "asyncapi.json" in generate.WHOLE


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_references_in_the_document_resolve_and_every_message_is_used(document: dict[str, Any]) -> None:
    references = set(_references(document))
    for reference in references:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    used = {
        used_reference.rpartition("/")[2]
        for used_reference in references
        if used_reference.startswith("#/components/messages/")
    }
    assert used == set(document["components"]["messages"])
