"""Order on a served node: versions that come together, and many that are woken at once, over several workers.

`test_order_of_waiting` lays judgements and commits between one another as it likes; here the node does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from adapters.store.tables.messages import agreements, messages
from gateway.model.faults import Fault
from gateway.model.states import State
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.support.served import Gateway

BROKER: Final = "broker-aa"
RUNS: Final = 3
AGREEMENTS: Final = 6  # in each run, all told of at once
OTHERS: Final = 4  # that wait for the same one, received before or after the two versions
FINISHED: Final = (State.ACCEPTED, State.DELIVERED, State.CLOSED)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with_workers = Gateway(tmp_path)
    with_workers.configure("workers", "4")
    with with_workers:
        yield with_workers


def declaration(reference: str, number: str, goods: str) -> bytes:
    plain = Declaration(reference=reference, documents=(agreement_document(number),))
    return render(replace(plain, lines=(replace(plain.lines[0], name=goods),)))


def all_at_once(gateway: Gateway, account: str, files: dict[str, bytes]) -> None:
    """In one session, one after the other: the order of receipt is that of the names."""
    with gateway.login(account).session() as client:
        for name, body in files.items():
            client.putfo(BytesIO(body), f"/OutBox/{name}", confirm=False)


def ended(gateway: Gateway) -> dict[str, tuple[str, list[str]]]:
    """By file name, the state and the faults of what the broker sent."""
    with gateway.reading() as store:
        own = select(messages.c.name, messages.c.state, messages.c.findings)
        rows = store.execute(own.where(messages.c.account == BROKER, messages.c.kind == "inbound")).all()
        return {row.name: (row.state, [finding["code"] for finding in row.findings]) for row in rows}


def judged(gateway: Gateway, names: Iterable[str]) -> bool:
    """Whether each of them waits, or is replaced already."""
    outcomes = ended(gateway)
    return all(outcomes.get(name, ("", []))[0] in (State.WAITING, State.REJECTED) for name in names)


def test_order_holds_however_the_workers_of_a_node_take_turns(gateway: Gateway) -> None:
    for run in range(RUNS):
        numbers = [f"1952{run:03}{index:08}" for index in range(AGREEMENTS)]
        sent: dict[str, bytes] = {}
        for place, number in enumerate(numbers):
            versions = {
                f"{number}-{age}.xml": declaration(f"V{number}", number, age) for age in ("older", "newer")
            }
            others = {
                f"{number}-{index}.xml": declaration(f"O{index}-{number}", number, f"other {index}")
                for index in range(OTHERS)
            }
            sent |= versions | others if place % 2 else others | versions
        all_at_once(gateway, BROKER, sent)
        gateway.until(partial(judged, gateway, sent))
        notices = {f"{number}.xml": signed_notice(gateway.home, agreement(number)) for number in numbers}
        all_at_once(gateway, ACCOUNT, notices)
        gateway.until(lambda: not unfinished(gateway.home))

        outcomes = ended(gateway)
        with gateway.reading() as store:
            rows = store.execute(
                select(agreements.c.number, messages.c.name).join(
                    messages, messages.c.id == agreements.c.used_by
                )
            ).all()
        used_by = {row.number: row.name for row in rows}
        for place, number in enumerate(numbers):
            assert outcomes[f"{number}-older.xml"] == (State.REJECTED, [Fault.REPLACED.code])
            # Received first, of those that stand: the other version is gone.
            first = f"{number}-newer.xml" if place % 2 else f"{number}-0.xml"
            assert used_by[number] == first
            assert outcomes[first][0] in FINISHED
            left = [name for name in sent if name.startswith(number) and name != first]
            assert {outcomes[name][0] for name in left} == {State.REJECTED}
    assert violations(gateway.home) == []
