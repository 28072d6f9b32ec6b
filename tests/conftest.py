"""What tests of several folders share because it is expensive."""

import os
from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import Rabbit, Tls
from tests.support.tls import issued

# Commands speak the language of the terminal; what tests read of them is English unless they ask.
os.environ["LC_ALL"] = "C.UTF-8"


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """A broker for all tests of a run that leave it alive and well; each takes a `vhost` of its own. Over TLS
    it asks for a certificate that `tests.support.tls` issued."""
    own = issued(tmp_path_factory.mktemp("rabbit"), "broker")
    with Rabbit(Tls(own.ca, own.certificate, own.key)) as broker:
        yield broker


@pytest.fixture(scope="session")
def mortal_rabbit() -> Iterator[Rabbit]:
    """A broker for tests that kill it and start it again, or take its memory; each leaves it running well."""
    with Rabbit() as broker:
        yield broker
