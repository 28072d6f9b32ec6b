"""Commands that sign, in a home whose key cannot: one line that names the file, and nothing done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.store.tables.messages import events, messages
from tests.support.declarations import Declaration
from tests.support.desk import Desk
from tests.support.keys import identity
from tests.support.operating import gateway, refused
from tests.support.rendering import packed


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as desk:
        yield desk


DAMAGE = {
    "empty": b"",
    "no key": b"\x00\xff no key",
    "another's": identity("p-256", "another").key_pem,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_commands_that_sign_say_which_file_is_broken(desk: Desk, tmp_path: Path, damage: bytes) -> None:
    refused(desk)
    package = tmp_path / "a.zip"
    package.write_bytes(packed(Declaration(reference="R9")))
    desk.home.signing_key.write_bytes(damage)
    before = desk.rows(messages), desk.rows(events)
    for words in (
        ("check", str(package)),
        ("messages", "replay", "R1", "--reason", "tests", "--dry-run"),
        ("policy", "try", str(desk.home.path / "policy.toml")),
    ):
        said = gateway(desk, *words)
        assert (said.code, said.err.count("\n")) == (2, 1), (words, said)
        assert said.err.startswith("gateway: keys/gateway.key, keys/gateway.crt: ")
    assert (desk.rows(messages), desk.rows(events)) == before
