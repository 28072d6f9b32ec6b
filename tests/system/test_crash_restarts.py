"""One node for a home, ended in order or killed again and again under load."""

import random
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest
from sqlalchemy import select

from adapters.store.tables.messages import messages
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.support.served import Gateway
from tests.system.conftest import Mortal

ACCOUNT = "broker-aa"
NOT_ACKNOWLEDGED = (OSError, EOFError, paramiko.SSHException)


def test_a_second_node_does_not_serve_a_home_that_is_served(mortal: Mortal) -> None:
    second = mortal.cli("serve")
    assert (second.returncode, second.stdout) == (3, "")
    assert str(mortal.home.path) in second.stderr
    name = mortal.next_name()
    mortal.send(ACCOUNT, f"{name}.xml", declaration(name))
    mortal.until(lambda: not unfinished(mortal.home))


def test_a_node_that_is_stopped_finishes_what_it_acknowledges_and_ends_with_0(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        with gateway.login(ACCOUNT).session() as half:
            unfinished_upload = half.open("/OutBox/half.xml", "wb")
            unfinished_upload.write(declaration("HALF0000000000001"))
            unfinished_upload.flush()
            with ThreadPoolExecutor(4) as senders:
                stopped = threading.Event()
                uploads = [senders.submit(send_until, gateway, lane, stopped) for lane in range(4)]
                gateway.until(lambda: len(stored(gateway)) >= 8)
                code = gateway.stop()
                stopped.set()
                acknowledged = [name for upload in uploads for name in upload.result()]
        assert code == 0
        assert len(acknowledged) >= 8
        assert set(acknowledged) <= set(stored(gateway))
        assert "half.xml" not in stored(gateway)
        assert list((gateway.home.blobs / "spool").iterdir()) == []
        assert violations(gateway.home) == []
        gateway.start()
        gateway.until(lambda: not unfinished(gateway.home))
        assert violations(gateway.home) == []


def test_a_node_whose_workers_cannot_start_takes_nothing_up(mortal: Mortal) -> None:
    name = mortal.next_name()
    mortal.plan("worker", f"{name}.xml", "ends-node", 1)
    mortal.send(ACCOUNT, f"{name}.xml", declaration(name))
    assert mortal.ended() == -signal.SIGKILL
    key = mortal.home.signing_key.read_bytes()
    mortal.home.signing_key.write_bytes(b"no key")
    with pytest.raises(RuntimeError, match="did not start"):
        mortal.start()
    mortal.home.signing_key.write_bytes(key)
    mortal.start()
    mortal.until(lambda: not unfinished(mortal.home))
    with mortal.reading() as store:
        attempts = store.execute(select(messages.c.attempts).where(messages.c.name == f"{name}.xml")).scalar()
    assert attempts == 2
    assert violations(mortal.home) == []


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_the_node_is_killed_five_times_under_load(tmp_path: Path) -> None:
    moments = random.Random(20261123)  # noqa: S311  the same moments in each run, no secret
    with Gateway(tmp_path) as gateway, ThreadPoolExecutor(4) as senders:
        lanes = [[f"LANE{lane}{number:012}" for number in range(15)] for lane in range(4)]
        sent = [senders.submit(send_all, gateway, names) for names in lanes]
        for _ in range(5):
            time.sleep(moments.uniform(0.05, 1.0))
            gateway.kill()
            assert violations(gateway.home) == []
            gateway.start()
        for lane in sent:
            lane.result()
        gateway.until(lambda: not unfinished(gateway.home))
        judged = [file for file in gateway.inbox(ACCOUNT) if file.startswith("Gateway_")]
        assert len(judged) == len(stored(gateway))
        assert gateway.stop() == 0
    assert violations(gateway.home) == []
    assert set(stored(gateway)) == {f"{name}.xml" for names in lanes for name in names}


def declaration(reference: str) -> bytes:
    return render(owing_nothing(reference))


def send_until(gateway: Gateway, lane: int, stopped: threading.Event) -> list[str]:
    """Sends one after the other, until it is not let any more; the names that were acknowledged."""
    acknowledged: list[str] = []
    while not stopped.is_set():
        reference = f"DRAIN{lane}{len(acknowledged):011}"
        try:
            gateway.send(ACCOUNT, f"{reference}.xml", declaration(reference))
        except NOT_ACKNOWLEDGED:
            return acknowledged
        acknowledged.append(f"{reference}.xml")
    return acknowledged


def send_all(gateway: Gateway, references: Sequence[str]) -> None:
    """Sends each until it is acknowledged, as a broker's software does."""
    for reference in references:
        gateway.until(lambda: acknowledged(gateway, reference))  # noqa: B023  called before the next one


def acknowledged(gateway: Gateway, reference: str) -> bool:
    try:
        gateway.send(ACCOUNT, f"{reference}.xml", declaration(reference))
    except NOT_ACKNOWLEDGED:
        return False
    return True


def stored(gateway: Gateway) -> list[str]:
    with gateway.reading() as store:
        return list(store.execute(select(messages.c.name).where(messages.c.kind == "inbound")).scalars())
