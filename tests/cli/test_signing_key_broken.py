"""Commands that sign, in a home whose key cannot: one line that names the file, and nothing done."""

from pathlib import Path

import pytest

from adapters.store.tables.messages import events, messages
from tests.support.declarations import Declaration
from tests.support.harness import Harness
from tests.support.keys import identity
from tests.support.operating import gateway, refused
from tests.support.rendering import packed

DAMAGE = {
    "empty": b"",
    "no key": b"\x00\xff no key",
    "another's": identity("p-256", "another").key_pem,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_commands_that_sign_say_which_file_is_broken(harness: Harness, tmp_path: Path, damage: bytes) -> None:
    refused(harness)
    package = tmp_path / "a.zip"
    package.write_bytes(packed(Declaration(reference="R9")))
    harness.home.signing_key.write_bytes(damage)
    before = harness.rows(messages), harness.rows(events)
    for words in (
        ("check", str(package)),
        ("messages", "replay", "R1", "--reason", "tests", "--dry-run"),
        ("policy", "try", str(harness.home.path / "policy.toml")),
    ):
        result = gateway(harness, *words)
        assert (result.code, result.err.count("\n")) == (2, 1), (words, result)
        assert result.err.startswith("gateway: keys/gateway.key, keys/gateway.crt: ")
    assert (harness.rows(messages), harness.rows(events)) == before
