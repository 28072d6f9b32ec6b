"""A served home that can be told where to kill itself; see `crashing`."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.amqp import AmqpHome, founded
from tests.support.invariants import unfinished, violations
from tests.support.rabbitmq import Rabbit
from tests.support.served import ROOT, Gateway


@cache
def _crash_points() -> frozenset[str]:
    sources = (path.read_text("utf-8") for path in (ROOT / "adapters").rglob("*.py"))
    return frozenset(name for text in sources for name in re.findall(r'@crash_point\("(.+?)"\)', text))


class Mortal(Gateway):
    """Served by `tests.system.crashing`: the plain node, until `plan` says where it dies."""

    def __init__(self, folder: Path) -> None:
        self._plan = folder / "plan"
        super().__init__(folder, ("-m", "tests.system.crashing", str(self._plan), "serve"))
        self.configure("workers", "1")
        self.configure("seconds", "5")
        self.messages = 0

    def plan(self, *words: object) -> None:
        if words[0] == "node":
            assert words[1] in _crash_points(), f"no function of the product is marked {words[1]}"
        self._tell(self._plan, " ".join(map(str, words)))

    def hurry(self, seconds: int) -> None:
        """Puts the node's clock ahead, for good."""
        self._tell(self._plan.with_suffix(".ahead"), str(seconds))

    def _tell(self, file: Path, text: str) -> None:
        # In one step: the node may look at any moment.
        whole = file.with_suffix(".whole")
        whole.write_text(text)
        whole.rename(file)

    def forget_plan(self) -> None:
        self._plan.unlink(missing_ok=True)

    def next_name(self) -> str:
        """A name of a file and the reference of a declaration that were not used in this home."""
        self.messages += 1
        return f"CRASH{self.messages:013}"


@pytest.fixture(scope="session")
def _sound() -> Iterator[list[Mortal]]:
    """The home that the last test left as it should; a start costs seconds, so tests share it."""
    homes: list[Mortal] = []
    yield homes
    for home in homes:
        home.kill()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Not served yet."""
    gateway = Gateway(tmp_path)
    yield gateway
    if gateway.running:
        gateway.kill()


@pytest.fixture
def mortal(_sound: list[Mortal], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    """A running node of a home in which every message is at its end."""
    if not _sound:
        gateway = Mortal(tmp_path_factory.mktemp("mortal"))
        gateway.start()
    else:
        gateway = _sound.pop()
    yield gateway
    gateway.forget_plan()
    if gateway.running and not violations(gateway.home) and not unfinished(gateway.home):
        _sound.append(gateway)
    elif gateway.running:
        gateway.kill()


@pytest.fixture(scope="session")
def amqp(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmqpHome]:
    """A served home with the AMQP channel, for tests that leave it and its broker running."""
    place = founded(tmp_path_factory.mktemp("amqp"), rabbit)
    with place.gateway:
        place.until_connected()
        yield place
        assert not violations(place.gateway.home)
