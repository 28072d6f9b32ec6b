"""What the node hands to its worker processes besides judgement."""

import asyncio
from pathlib import Path

from adapters.workers import Judging, WorkerJudges
from gateway.xml import trusted
from tests.desk import NOW, Desk
from tests.keys import xmlsec1_trusts


def test_documents_come_back_from_a_worker_signed_and_in_their_order(tmp_path: Path) -> None:
    with Desk.at(tmp_path / "home") as desk:
        judges = WorkerJudges(
            desk.home, Judging.of(desk.home, desk.rules.policy, desk.rules.routes), workers=1, seconds=30
        )
        try:
            signed = asyncio.run(judges.signed([b"<a>1</a>", b"<a>2</a>"]))
            nothing = asyncio.run(judges.signed([]))
        finally:
            judges.close()
        certificate = desk.home.certificate.read_text()
    assert [trusted(document).text for document in signed] == ["1", "2"]
    assert all(xmlsec1_trusts(document, certificate, NOW) for document in signed)
    assert list(nothing) == []
