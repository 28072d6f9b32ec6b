"""Everyone whom a declaration concerns finds it in its own InBox, signed, once, whatever is killed (R11)."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from adapters.home.clock import utc_now
from gateway.formats.xml import trusted
from tests.support.declarations import Declaration
from tests.support.invariants import unfinished, violations
from tests.support.keys import xmlsec1_trusts
from tests.support.receipts import NS
from tests.support.rendering import render
from tests.support.served import Gateway
from tests.system.conftest import Mortal

BROKER: Final = "broker-aa"
TRADER: Final = "trader-a"
# What each is told of a declaration that is released and closed.
OTHERS: Final = {TRADER: 8, "premises": 1, "association": 1}
FILE: Final = "file-answers"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running node in which one declaration of a broker has come to its end."""
    with Gateway(tmp_path_factory.mktemp("others")) as running:
        running.send(BROKER, "OTHERS1.xml", render(Declaration(reference="OTHERS1")))
        running.until(lambda: not unfinished(running.home))
        yield running


def inbox(gateway: Gateway, account: str) -> list[str]:
    """Without requests for the documents that follow a release: they are told of elsewhere."""
    return [name for name in gateway.inbox(account) if not name.startswith("Request_")]


def kinds(gateway: Gateway, account: str) -> Counter[str]:
    return Counter(name.partition("_")[0] for name in inbox(gateway, account))


def notices(gateway: Gateway, account: str) -> list[str]:
    return sorted(name for name in gateway.inbox(account) if name.startswith("Notice_"))


def notice_values(gateway: Gateway, account: str, tag: str) -> list[str | None]:
    """What the account's notices say there, once each is found to be signed by the gateway."""
    bodies = [gateway.read(account, f"/InBox/{name}") for name in notices(gateway, account)]
    certificate = gateway.home.certificate.read_text()
    assert all(xmlsec1_trusts(body, certificate, utc_now()) for body in bodies)
    return [trusted(body).findtext(f"g:{tag}", namespaces=NS) for body in bodies]


def test_the_broker_gets_what_it_always_got(gateway: Gateway) -> None:
    assert kinds(gateway, BROKER) == {"Gateway": 1, "Successed": 1, "Receipt": 4}


def test_the_trader_gets_every_step_in_both_forms(gateway: Gateway) -> None:
    assert kinds(gateway, TRADER) == {"Receipt": 4, "Notice": 4}
    assert notice_values(gateway, TRADER, "Class") == ["stored", "reviewed", "released", "closed"]
    relayed = [name for name in gateway.inbox(TRADER) if name.startswith("Receipt_")]
    for name in relayed:
        assert gateway.read(TRADER, f"/InBox/{name}") == gateway.read(BROKER, f"/InBox/{name}")


def test_the_premises_get_one_release_notice(gateway: Gateway) -> None:
    assert kinds(gateway, "premises") == {"Notice": 1}
    assert notice_values(gateway, "premises", "Class") == ["released"]


def test_the_association_gets_one_notice_of_use(gateway: Gateway) -> None:
    assert kinds(gateway, "association") == {"Notice": 1}
    assert notice_values(gateway, "association", "Act") == ["used"]
    assert notice_values(gateway, "association", "Reference") == ["OTHERS1"]


@pytest.mark.parametrize("account", ["trader-aa", "trader-b", "broker-b", "customs"])
def test_only_the_parties_concerned_get_receipts(gateway: Gateway, account: str) -> None:
    assert gateway.inbox(account) == []


def test_a_notice_is_verified_without_the_gateway(gateway: Gateway, tmp_path: Path) -> None:
    (name,) = notices(gateway, "premises")
    file = tmp_path / name
    file.write_bytes(body := gateway.read("premises", f"/InBox/{name}"))
    certificate = str(gateway.home.certificate)
    shown = json.loads(
        gateway.cli("receipts", "verify", str(file), "--certificate", certificate, "--json").stdout
    )
    assert (shown["valid"], shown["document"], shown["class"]) == (True, "DeclarationNotice", "released")
    file.write_bytes(body.replace(b"<Class>released<", b"<Class>reviewed<"))
    changed = gateway.cli("receipts", "verify", str(file), "--certificate", certificate, "--json")
    assert (changed.returncode, json.loads(changed.stdout)["code"]) == (1, "signature-invalid")


def test_operators_see_to_whom_each_receipt_went(gateway: Gateway) -> None:
    shown = json.loads(gateway.cli("messages", "show", "OTHERS1", "--json").stdout)
    receipts_by_account = Counter(
        receipt["account"] for receipt in shown["receipts"] if receipt["kind"] != "request"
    )
    assert receipts_by_account == {BROKER: 6} | OTHERS
    assert [receipt["account"] for receipt in shown["receipts"] if receipt["final"]] == [BROKER]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_everyone_is_notified_once_though_the_node_is_killed_while_it_takes_answers(
    mortal: Mortal, moment: str
) -> None:
    before = {account: len(inbox(mortal, account)) for account in OTHERS}
    name = mortal.next_name()
    mortal.plan("node", FILE, moment, 1)
    mortal.send(BROKER, f"{name}.xml", render(Declaration(reference=name)))
    assert mortal.ended() == -signal.SIGKILL
    mortal.start()
    mortal.until(lambda: not unfinished(mortal.home))
    assert violations(mortal.home) == []
    new_receipts = {account: len(inbox(mortal, account)) - before[account] for account in OTHERS}
    assert new_receipts == OTHERS
