"""Writes the parts of the documents that come from the code: `python -m docs.generate`.

A part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`; everything outside is written by
hand. Documents in `WHOLE` are generated entirely. With `--check` nothing is written, and the exit code is 1
if anything is stale.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from docs import asyncapi, parts

ROOT: Final = Path(__file__).parent.parent

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "states": parts.states,
    "faults": parts.faults,
    "faults-zh": parts.faults_zh,
    "amqp-refusals": parts.amqp_refusals,
    "rules": parts.rules,
    "rules-zh": parts.rules_zh,
    "commands": parts.commands,
    "settings": parts.settings,
    "policy": parts.policy,
    "customs-codes": parts.customs_codes,
    "customs-codes-zh": parts.customs_codes_zh,
}
WHOLE: Final[Mapping[Path, Callable[[], str]]] = {ROOT / "docs" / "asyncapi.json": asyncapi.text}
_PART: Final = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def documents() -> Iterator[Path]:
    """Every shipped document, README first."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def written(text: str) -> str:
    """The document with its generated parts up to date; `KeyError` for a part without a generator."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", text)


def stale() -> dict[Path, str]:
    """The documents that are out of date, each with the text that it should have."""
    present = {document: document.read_text(encoding="utf-8") for document in documents()}
    found = {document: wanted for document, text in present.items() if (wanted := written(text)) != text}
    for document, whole in WHOLE.items():
        wanted = whole()
        if not document.exists() or document.read_text(encoding="utf-8") != wanted:
            found[document] = wanted
    return found


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m docs.generate [--check]\n")
        return 2
    found = stale()
    for document, text in found.items():
        sys.stdout.write(f"{document.relative_to(ROOT)} {'is stale' if arguments else 'written'}\n")
        if not arguments:
            document.write_text(text, encoding="utf-8")
    if arguments and found:
        sys.stdout.write("run: python -m docs.generate\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
