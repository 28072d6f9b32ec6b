"""The documents are part of the product: their examples run, their links lead somewhere, nothing is stale."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from adapters.cli.init.init import free_port
from docs import generate
from docs.generate import ROOT, documents
from gateway.model.faults import Fault
from gateway.model.states import State
from tests.support.documents import examples, follow

WITH_EXAMPLES = [
    "README.md",
    "docs/association.md",
    "docs/dossier.md",
    "docs/for-brokers.md",
    "docs/for-operators.md",
    "docs/runbook.md",
    "docs/sandbox.md",
]
ALL = [str(document.relative_to(ROOT)) for document in documents()]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_document_do_what_it_says(name: str, tmp_path: Path) -> None:
    assert follow(ROOT / name, tmp_path, free_port()) > 2


def test_no_other_document_has_examples_that_nobody_runs() -> None:
    assert [name for name in ALL if examples(ROOT / name)] == WITH_EXAMPLES


@pytest.mark.parametrize("name", ALL)
def test_the_generated_parts_of_a_document_are_fresh(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert generate.written(text) == text, "run: python -m docs.generate"


def test_every_generated_part_stands_in_a_document() -> None:
    placed = re.findall(
        r"<!-- generated: ([a-z-]+) -->", "".join((ROOT / name).read_text("utf-8") for name in ALL)
    )
    assert sorted(placed) == sorted(generate.PARTS)


def test_a_stale_part_is_found_and_written_again() -> None:
    text = "before\n<!-- generated: states -->\nold\n<!-- end of states -->\nafter\n"
    fresh = generate.written(text)
    assert "old" not in fresh
    assert "received --> accepted: passed" in fresh
    assert fresh.startswith("before\n")
    assert fresh.endswith("after\n")


@pytest.mark.parametrize("name", ALL)
def test_the_links_of_a_document_lead_to_files_and_headings_that_exist(name: str) -> None:
    document = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        other = document.parent / path if path else document
        assert other.is_file(), target
        assert not heading or heading in _headings(other), target


def _headings(document: Path) -> set[str]:
    """The anchors that are made of headings: lower case, hyphens for blanks, no punctuation."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", ALL)
def test_the_files_that_a_document_names_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:gateway|adapters|schemas|config|tests|docs|\.ci)/[\w./-]+\.\w+)`", text)
    missing = [path for path in named if not (ROOT / path).is_file()]
    assert not missing


def test_the_documents_that_code_names_exist_with_their_sections() -> None:
    folders = ("adapters", "bench", "config", "docs", "gateway", "schemas", "tests")
    files_of_code = [ROOT / "cli.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    missing = []
    for path in files_of_code:
        if path.suffix not in (".py", ".sch", ".toml", ".xsd"):
            continue
        text = re.sub(r"\s*\n[\s#]*", " ", path.read_text(encoding="utf-8"))
        for name, section in re.findall(r'((?:docs/[\w.-]+|\b[A-Z]+)\.md)(?:, "([^"]+)")?', text):
            if not (ROOT / name).is_file() or (section and section not in _sections(ROOT / name)):
                missing.append((str(path.relative_to(ROOT)), name, section))
    assert not missing


def _sections(document: Path) -> set[str]:
    """Headings, and the bold words that begin a paragraph."""
    text = document.read_text(encoding="utf-8")
    return set(re.findall(r"^(?:#+ |\*\*)(.+?)(?:\.?\*\*.*)?$", text, re.MULTILINE))


@pytest.mark.parametrize("name", ALL)
def test_the_fault_codes_that_a_document_names_are_in_the_catalogue(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    begins = "zip|xml|schema|signature|certificate|pdf|document"
    named = set(re.findall(rf"`((?:{begins})-[a-z-]+)`", text))
    assert named <= {fault.code for fault in Fault}


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document not in reached:
            reached.add(document)
            links = re.findall(r"\]\(([^)#]+\.md)", document.read_text(encoding="utf-8"))
            waiting += [(document.parent / link).resolve() for link in links]
    assert {ROOT / name for name in ALL} <= reached


def test_the_readme_explains_every_state() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\w+) \| [\w ]+", readme, re.MULTILINE)[1:] == [state.value for state in State]


def test_keys_that_every_kind_of_a_section_has_are_described_once_before_the_kinds() -> None:
    rows = generate.PARTS["settings"]().splitlines()
    keys = [row.split("`")[1] for row in rows if row.startswith("| `backend.")]
    kind = next(place for place, key in enumerate(keys) if ".kind = " in key)
    assert {"backend.NAME.rate"} == set(keys[:kind])
    assert not set(keys[:kind]) & set(keys[kind:])


def test_every_rule_is_documented() -> None:
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rules = files("schemas").joinpath("cn-dec", "1", "rules.sch").read_text("utf-8")
    numbers = re.findall(r'id="([A-Z]+-\d+)"', rules)
    assert numbers
    assert all(f"| {number} |" in text for number in numbers)


def test_the_version_stands_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in changes or f"## {version}" in changes


def test_the_table_of_the_reform_has_every_row_and_names_only_files_that_are_there() -> None:
    text = (ROOT / "docs" / "reform.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| R")]
    assert [row[1].strip() for row in rows] == [f"R{number}" for number in range(1, 19)]
    for row in rows:
        named = re.findall(r"`((?:gateway|adapters|schemas|tests|config)/[^` ]*)`", " ".join(row[3:5]))
        assert named or "`" in row[3]
        for path in named:
            assert (ROOT / path).exists(), path
        assert "tests/" in row[4], row[1]
