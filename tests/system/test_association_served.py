"""Agency agreements over SFTP, both ways: asked for, proposed, confirmed, used, ended."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from lxml import etree

from gateway.agreements import AgreementState
from gateway.notices import read_notice
from gateway.xml import trusted
from tests.agreement_requests import request
from tests.association import shown
from tests.declarations import Declaration, enterprise
from tests.rendering import render
from tests.served import Gateway

_numbers = count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running node with the association beside its customs; each test has agreements of its own."""
    with Gateway(tmp_path_factory.mktemp("association")) as running:
        yield running


def unused(kind: str) -> str:
    """A name that no other file and no other declaration has."""
    return f"{kind}{next(_numbers):04}"


def came(gateway: Gateway, account: str, name: str) -> list[str]:
    """What an account was given for the file of that name, in the order of their names."""
    return sorted(each for each in gateway.inbox(account) if f"_{name}_" in each)


def given(gateway: Gateway, account: str, kind: str, name: str) -> etree._Element:
    """The receipt of a kind for the file of that name, once it is there."""

    def found() -> str | None:
        return next((each for each in came(gateway, account, name) if each.startswith(f"{kind}_")), None)

    return trusted(gateway.read(account, f"/InBox/{gateway.until(found)}"))


def asked(gateway: Gateway, sender: str, **asks: str) -> str:
    """The number of an agreement that the sender asked the association for."""
    name = unused("ASK")
    gateway.send(sender, f"{name}.xml", request(sender, **asks))
    return given(gateway, sender, "Successed", name).findtext("ConsignNo") or ""


def agreement(gateway: Gateway, number: str) -> dict[str, Any]:
    done = gateway.cli("agreements", "show", number, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else {"state": None}


def stands(gateway: Gateway, number: str, state: AgreementState) -> None:
    gateway.until(lambda: agreement(gateway, number)["state"] == state)


def told(gateway: Gateway, account: str, number: str) -> list[str]:
    """What the account was told of an agreement: the acts, in the order in which they came."""
    names = sorted(
        (each for each in gateway.inbox(account) if each.startswith("Agreement_") and number in each),
        key=lambda each: each.rpartition("_")[2],
    )
    return [str(read_notice(trusted(gateway.read(account, f"/InBox/{name}"))).act) for name in names]


def declare(gateway: Gateway, number: str, trader: str) -> str:
    """Sends a declaration of broker-aa that shows an agreement; its reference."""
    reference = unused("DECL")
    declaration = Declaration(reference=reference, trader=enterprise(trader), documents=(shown(number),))
    gateway.send("broker-aa", f"{reference}.xml", render(declaration))
    return reference


def message(gateway: Gateway, reference: str) -> dict[str, Any]:
    listed = json.loads(gateway.cli("messages", "list", "--json", "--limit", "0").stdout)
    return next((each for each in listed if each["reference"] == reference), {"state": None})


def is_(gateway: Gateway, reference: str, state: str) -> dict[str, Any]:
    gateway.until(lambda: message(gateway, reference)["state"] == state)
    return message(gateway, reference)


def test_what_a_trader_confirms_automatically_is_in_force_at_once_and_used_by_a_declaration(
    gateway: Gateway,
) -> None:
    number = asked(gateway, "broker-aa", trader="trader-aa")
    stands(gateway, number, AgreementState.IN_FORCE)

    reference = declare(gateway, number, "trader-aa")

    assert is_(gateway, reference, "closed")["faults"] == []
    assert agreement(gateway, number)["state"] == AgreementState.USED
