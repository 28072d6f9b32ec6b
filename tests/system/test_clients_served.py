"""Clients that write under another name first, at a served gateway: their receipts bear the final name."""

from pathlib import Path

from tests.support.declarations import Declaration
from tests.support.rendering import render
from tests.support.served import Gateway
from tests.support.upload_steps import LISTED

BROKER = "broker-aa"


def test_each_client_gets_its_receipts_under_the_name_that_it_meant(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        for steps in LISTED:
            with gateway.login(BROKER).session() as client:
                steps(client, f"{steps.__name__}.xml", render(Declaration(reference=steps.__name__.upper())))

        def scene() -> list[str]:
            return [name for name in gateway.inbox(BROKER) if name.startswith("Gateway_")]

        gateway.until(lambda: len(scene()) == len(LISTED))
        names = {f"{steps.__name__}.xml" for steps in LISTED}
        with gateway.login(BROKER).session() as client:
            assert set(client.listdir("/SentBox")) == names
            assert client.listdir("/OutBox") == client.listdir("/FailBox") == []
        for name in names:
            assert len([file for file in scene() if f"_{name.removesuffix('.xml')}" in file]) == 1, scene()
        for spoilt in ("partial", "XyZ987", "writing", "filepart", "_."):
            assert not [file for file in gateway.inbox(BROKER) if spoilt in file]
