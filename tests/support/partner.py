"""A party that hosts its four folders itself, and a node that visits them."""

import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from adapters.store.tables.messages import messages
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.system.conftest import Mortal

ACCOUNT: Final = "broker-aa"
RECEIPTS_OF_A_RELEASE: Final = Counter(
    {"Gateway": 1, "Successed": 1, "Receipt": 4}
)  # of a declaration that is released


def declaration(reference: str) -> bytes:
    return render(owing_nothing(reference))


class HostedPartner:
    """`root` holds the four folders. `settings` is the section of `gateway.toml` without name and account;
    the party's `account` gets its receipts there."""

    def __init__(self, folder: Path, root: Path, settings: str, account: str = ACCOUNT) -> None:
        self.root = root
        (root / "OutBox").mkdir(parents=True, exist_ok=True)
        self.gateway = Mortal(folder)
        self.account = account
        home = self.gateway.home.path
        register = home / "parties.toml"
        name = f'name = "{account}"\n'
        register.write_text(
            register.read_text("utf-8").replace(name, f'{name}delivery = "folder"\n'), "utf-8"
        )
        done = self.gateway.cli("parties", "import", str(register), "--reason", "hosts its folders")
        assert done.returncode == 0, done.stderr
        with (home / "gateway.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[partner.hosted]\naccount = "{account}"\nseconds = 0.1\n{settings}')

    def put(self, name: str, body: bytes) -> None:
        """As a party that knows what it does: a file is whole when it has its name."""
        file = self.root / "OutBox" / name
        unfinished = file.with_name(f"{file.name}.tmp")
        unfinished.write_bytes(body)
        unfinished.rename(file)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self.root / folder))
        except FileNotFoundError:
            return []

    def receipt_counts(self, reference: str) -> Counter[str]:
        return Counter(name.split("_")[0] for name in self.names("InBox") if f"_{reference}_" in name)

    def stored(self) -> list[dict[str, Any]]:
        query = select(
            messages.c.id, messages.c.name, messages.c.state, messages.c.channel, messages.c.account
        )
        with self.gateway.reading() as store:
            rows = store.execute(query.where(messages.c.kind == "inbound").order_by(messages.c.seq)).all()
        return [dict(row._mapping) for row in rows]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.stored() if row["name"] == name]

    def comes_to_its_end(self, reference: str, name: str | None = None) -> None:
        """It is one message, in SentBox, released once, with all its receipts in the party's InBox."""
        name = name or f"{reference}.xml"
        gateway = self.gateway
        gateway.until(
            lambda: name in self.names("SentBox") and self.receipt_counts(reference) == RECEIPTS_OF_A_RELEASE
        )
        gateway.until(lambda: not unfinished(gateway.home))
        assert len(self.named(name)) == 1
        assert self.receipt_counts(reference) == RECEIPTS_OF_A_RELEASE
        assert not [name for name in self.names("OutBox") if reference in name]
        assert violations(gateway.home) == []

    def released(self, reference: str) -> int:
        """How often customs took something new under this reference."""
        ledger_file = self.gateway.home.path / "backends" / "customs" / "customs.db"
        with closing(sqlite3.connect(ledger_file)) as customs:
            query = "SELECT count(*) FROM submissions WHERE reference = ?"
            return int(customs.execute(query, (reference,)).fetchone()[0])

    def log(self) -> list[dict[str, Any]]:
        lines = self.gateway.log.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]
