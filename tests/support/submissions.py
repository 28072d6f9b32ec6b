"""Submissions as the gateway makes them, and the reference back-ends that they are tried on."""

import asyncio
import hashlib
import io
import sqlite3
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol

from lxml import etree

from adapters.backends.directory import DirectoryBackend
from adapters.backends.exchange import Exchange
from adapters.backends.folders import FolderBackend
from adapters.backends.sftp import SftpBackend
from adapters.home.clock import utc_now
from adapters.sandbox.association.association import ReferenceAssociation
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.serving import ExchangeServing
from gateway.config.connections import DxpSettings, SftpBackendSettings
from gateway.deliver.ports import Backend
from gateway.formats.signing import XadesSigner
from gateway.formats.submission import build_envelope
from gateway.formats.xml import trusted
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.message import (
    Arrival,
    ChainLink,
    Facts,
    Key,
    Operation,
    Package,
    Part,
    Pdf,
    Received,
    Submission,
    new_id,
)
from gateway.model.parties import Party, Role
from gateway.model.reform import Risk
from gateway.model.risk_hint import Hint
from tests.support.amqp_backend import OverAmqp
from tests.support.http_backend import OverHttp
from tests.support.keys import Identity, identity
from tests.support.sshd import shared

NOW: Final = datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC)
EVERYTHING: Final = 1000

GATEWAY: Final = identity("p-256", "gateway")
STRANGER: Final = identity("p-256", "stranger")
ASSOCIATION: Final = identity("p-256", "association")

TRADER: Final = "2200910001"
BROKER: Final = "2200980001"
CONFIRMING: Final = "2200910002"  # a trader who confirms automatically what BROKER proposes


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Subject:
    """A message type as a submission's envelope names it, and the facts that its messages have here."""

    family: str
    type: str
    facts: Mapping[str, str]


DECLARATION: Final = Subject("cn-dec", "DecMessage", {"office": "2248", "direction": "I"})
REQUEST: Final = Subject(
    "cn-acd",
    "ImportAgrRequest",
    {
        "cop_code": BROKER,
        "trader_code": CONFIRMING,
        "agent_code": BROKER,
        "goods_code": "8471300000",
        "total": "1000.50",
        "currency": "502",
        "ie_date": "20261130",
    },
)


@dataclass(frozen=True)
class PackagedSubmission:
    """A submission with the package that goes with it."""

    submission: Submission
    package: bytes

    def to(self, backend: Backend) -> tuple[Outcome, str]:
        return asyncio.run(self.given_to(backend))

    async def given_to(self, backend: Backend) -> tuple[Outcome, str]:
        return await backend.submit(self.submission, lambda _sha256: io.BytesIO(self.package))

    @property
    def key(self) -> str:
        return self.submission.key


_entropy = iter(range(1 << 30))


def sent(
    reference: str = "C-1",
    operation: Operation = Operation.DECLARE,
    signatory: Identity = GATEWAY,
    parts: dict[str, bytes] | None = None,
    bare: bool = False,
    name: str | None = None,
    party: str = BROKER,
    change_parts: Callable[[tuple[Part, ...]], tuple[Part, ...]] = lambda parts: parts,
    subject: Subject = DECLARATION,
    risk: Risk = Risk.LOW,
    linked: str | None = None,
    copy_of: str = "",
    second_office: str = "",
    **facts: str,
) -> PackagedSubmission:
    """A message as the gateway submits it; `change_parts` changes the parts that the envelope names. A fact
    that is empty is left out. In transit, that for the `second_office` is a `copy_of` the message of the
    first."""
    files = parts or {"报关单.xml": f"<DecMessage>{reference}</DecMessage>".encode(), "发票.pdf": b"%PDF-1.4"}
    package = next(iter(files.values())) if bare else zipped(files)
    package_parts = tuple(
        Part(name=name, sha256=sha(body), size=len(body), pdf=Pdf(pages=1) if name.endswith(".pdf") else None)
        for name, body in files.items()
    )
    message = copy_of or new_id(NOW, next(_entropy).to_bytes(10, "big"))
    name = name or ("报关单.xml" if bare else "报关单.zip")
    arrival = Arrival(
        id=message,
        account="broker-aa",
        channel="sftp",
        name=name,
        sha256=sha(package),
        size=len(package),
        received_at=NOW,
    )
    envelope = build_envelope(
        received=Received(arrival=arrival, attempts=1, link=ChainLink(sequence=1, digest="00" * 32)),
        package=Package(
            document=b"",
            document_name=package_parts[0].name,
            is_zip=not bare,
            parts=change_parts(package_parts),
        ),
        facts=Facts(
            key=Key(party=party, family=subject.family, type=subject.type, reference=reference),
            content="00" * 32,
            body="00" * 32,
            operation=operation,
            values={name: fact for name, fact in {**subject.facts, **facts}.items() if fact},
        ),
        sender=Party(code=party, scc="91310000MA1FL00001", name="报关行", roles=(Role.BROKER,)),
        findings=(),
        version="1",
        rules="00" * 32,
        policy="00" * 32,
        created_at=NOW,
        certificate=None,
        linked=linked,
        hint=Hint(risk=risk, treated_as=risk, inspection="low", reasons=(risk.value,)),
        office=second_office,
    )
    submission = Submission(
        key=f"{message}-{second_office}" if second_office else message,
        destination="reference",
        envelope=XadesSigner(signatory.key_pem, signatory.certificate_pem, utc_now).sign(envelope),
        package_sha256=sha(package),
        package_name=name,
        package_size=len(package),
    )
    return PackagedSubmission(submission, package)


def given_answers(backend: Backend) -> Sequence[Answer]:
    return asyncio.run(backend.answers(EVERYTHING))


def values(answer: Answer) -> dict[str, str]:
    root = trusted(answer.body)
    return {etree.QName(child).localname: child.text or "" for child in root}


agreement_request = partial(sent, subject=REQUEST)


def reference_customs(folder: Path, certificate_pem: str = GATEWAY.certificate_pem) -> ReferenceCustoms:
    return ReferenceCustoms(folder, certificate_pem, lambda: NOW)


def reference_association(
    folder: Path, certificate_pem: str = GATEWAY.certificate_pem
) -> ReferenceAssociation:
    signer = XadesSigner(ASSOCIATION.key_pem, ASSOCIATION.certificate_pem, utc_now)
    return ReferenceAssociation(
        folder,
        certificate_pem,
        signer,
        lambda: NOW,
        lambda trader, broker: (trader, broker) == (CONFIRMING, BROKER),
    )


class OverFolder:
    """The reference customs behind a folder, as it is for the gateway: the folder's two sides. Customs looks
    into the folder once after each submission and before it is heard."""

    def __init__(
        self,
        folder: Path,
        certificate_pem: str = GATEWAY.certificate_pem,
        gateway: Callable[[Path], FolderBackend] = DirectoryBackend,
    ) -> None:
        exchange = Exchange(folder / "exchange")
        exchange.make()
        self._gateway = gateway(exchange.folder)
        self._customs = reference_customs(folder, certificate_pem)
        self._serving = ExchangeServing(exchange, self._customs)
        self._one_at_a_time = asyncio.Lock()

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        outcome = await self._gateway.submit(submission, opened)
        await self._look()
        return outcome

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        return await self._gateway.ask(key)

    async def answers(self, limit: int) -> Sequence[Answer]:
        await self._look()
        return await self._gateway.answers(limit)

    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self._gateway.acknowledge(ids)

    async def _look(self) -> None:
        async with self._one_at_a_time:
            assert await self._serving.turn()

    def close(self) -> None:
        self._gateway.close()
        self._customs.close()


def over_sftp(folder: Path) -> SftpBackend:
    server = shared()
    settings = SftpBackendSettings.model_validate({"kind": "sftp", **server.settings(str(folder))})
    return SftpBackend(settings, server.key, server.key.parent)


def over_amqp(folder: Path, certificate_pem: str = GATEWAY.certificate_pem) -> OverAmqp:
    """`lodge` comes before it."""
    return OverAmqp(folder, certificate_pem, lambda: NOW)


def over_http(
    folder: Path, certificate_pem: str = GATEWAY.certificate_pem, dxp: DxpSettings | None = None
) -> OverHttp:
    return OverHttp(folder, reference_customs(folder, certificate_pem), dxp)


class ClosableBackend(Backend, Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCase:
    """A back-end to try. `open` takes its folder and the gateway's certificate; `send` makes a sound
    submission, to which it gives `answers`, known by the beginnings of their names, and one number, in
    elements of the name `number`. Its database is `file`. What goes to it by `exchange`, a folder below its
    own, is told by an answer when it is refused, and does not reach it again. With `broker` it is told so,
    too; its folder is given queues (`amqp_office.lodge`) before it is opened.
    """

    open: Callable[..., ClosableBackend]
    send: Callable[..., PackagedSubmission]
    answers: tuple[str, ...]
    number: str
    file: str
    exchange: str | None = None
    broker: bool = False

    def number_in(self, answer: Answer) -> str:
        return values(answer).get(self.number, "")

    def calls(self, folder: Path, key: str) -> list[str]:
        """The outcomes of all calls with this key that ever reached it."""
        with closing(sqlite3.connect(folder / self.file)) as database:
            return [row[0] for row in database.execute("SELECT outcome FROM calls WHERE key = ?", (key,))]


DXP: Final = DxpSettings(sender="DXPENT0000000001", receiver="DXPEDCDEC0000001")

CUSTOMS: Final = BackendCase(
    open=reference_customs,
    send=sent,
    answers=("Successed_", "Receipt_", "Receipt_", "Receipt_", "Receipt_"),
    number="ENTRY_ID",
    file="customs.db",
)
BACKENDS: Final = {
    "customs": CUSTOMS,
    "directory": replace(CUSTOMS, open=OverFolder, exchange="exchange"),
    "sftp": replace(CUSTOMS, open=partial(OverFolder, gateway=over_sftp), exchange="exchange"),
    "amqp": replace(CUSTOMS, open=over_amqp, broker=True),
    "http": replace(CUSTOMS, open=over_http),
    "http with DXP": replace(CUSTOMS, open=partial(over_http, dxp=DXP)),
    "association": BackendCase(
        open=reference_association,
        send=agreement_request,
        answers=("ImportAgrResponse_", "AgreementNotice_", "AgreementNotice_"),
        number="ConsignNo",
        file="association.db",
    ),
}
