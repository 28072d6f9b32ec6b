"""SIGKILL while what waits for one back-end goes over to another: it is at one of them, once."""

import signal
import sqlite3
from contextlib import closing

import pytest

from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.system.conftest import Mortal

ACCOUNT = "broker-aa"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Mortal:
    """Not running: customs, and another one that takes over from it."""
    mortal = Mortal(tmp_path_factory.mktemp("failover"))
    routes = mortal.home.path / "routes.toml"
    taking_over = 'backend = "customs"\nfailover = ["other"]\n'
    routes.write_text(routes.read_text("utf-8").replace('backend = "customs"\n', taking_over), "utf-8")
    with (mortal.home.path / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write('\n[backend.other]\nkind = "reference"\n')
    return mortal


def released(node: Mortal, backend: str) -> dict[str, int]:
    with closing(sqlite3.connect(node.home.path / "backends" / backend / "customs.db")) as database:
        query = "SELECT reference, count(*) FROM submissions GROUP BY reference"
        return dict(database.execute(query).fetchall())


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("divert-deliveries-uncommitted", "after"),
        ("divert-deliveries", "after"),
    ],
)
def test_a_node_killed_while_it_diverts_loses_nothing_and_sends_nothing_to_both(
    node: Mortal, place: str, moment: str
) -> None:
    before = node.messages
    with node:
        assert node.cli("backends", "pause", "customs", "--reason", "maintenance").returncode == 0
        node.plan("node", place, moment, 1)
        references = [node.next_name() for _ in range(3)]
        for reference in references:
            node.send(ACCOUNT, f"{reference}.xml", render(owing_nothing(reference)))
        assert node.ended() == -signal.SIGKILL

        node.start()
        node.until(lambda: released(node, "other").keys() >= set(references))
        assert node.cli("backends", "resume", "customs", "--reason", "it is over").returncode == 0
        node.until(lambda: not unfinished(node.home))
        assert node.stop() == 0
    assert released(node, "customs") == {}
    assert set(released(node, "other").values()) == {1}
    assert len(released(node, "other")) == before + 3
    # All else that must hold does; where a delivery is, they look for at customs alone.
    assert [
        violation for violation in violations(node.home) if "customs knows nothing of it" not in violation
    ] == []
