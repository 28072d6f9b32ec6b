"""Settings → the back-end that they describe: which class stands for which kind."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from adapters.backends.amqp import AmqpBackend
from adapters.backends.directory import DirectoryBackend
from adapters.backends.http import opened_client
from adapters.backends.http_answers import PolledBackend
from adapters.backends.http_push import PushedBackend
from adapters.backends.sftp import SftpBackend
from adapters.home.home import Home
from adapters.home.named_files import Renewal
from adapters.sandbox.association.association import ReferenceAssociation
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.simulated_backend import Desk
from gateway.config.connections import (
    AmqpBackendSettings,
    AssociationSettings,
    BackendSettings,
    DirectorySettings,
    HttpBackendSettings,
    ReferenceSettings,
    SftpBackendSettings,
)
from gateway.formats.signing import XadesSigner
from gateway.model.ports import Backend, Clock, Register


def association(
    home: Home, name: str, settings: AssociationSettings, register: Register, clock: Clock
) -> ReferenceAssociation:
    """The association that is shipped, with the key of its account. Raises `OSError` where it has none."""

    def confirms(trader: str, broker: str) -> bool:
        party = register.party_called(trader)
        return party is not None and broker in party.confirms_automatically

    return ReferenceAssociation(
        home.path / "backends" / name,
        home.certificate.read_text(),
        _signer(home, settings),
        clock,
        confirms,
    )


def _signer(home: Home, settings: AssociationSettings) -> XadesSigner:
    client = Path("clients", settings.account)
    key = home.path / (settings.key or client / "sign.key")
    certificate = home.path / (settings.certificate or client / "sign.crt")
    return XadesSigner(key.read_bytes(), certificate.read_text())


@asynccontextmanager
async def opened_backend(
    home: Home,
    name: str,
    settings: BackendSettings,
    register: Register,
    clock: Clock,
    renewals: list[Renewal],
) -> AsyncIterator[Backend]:
    """The back-end, connected for as long as the context is open. What takes its keys and certificates anew
    is added to `renewals`."""
    match settings:
        case AssociationSettings():
            with closing(association(home, name, settings, register, clock)) as backend:
                renewals += [
                    partial(_trusting, backend, home),
                    lambda: partial(backend.sign_by, _signer(home, settings)),
                ]
                yield backend
        case ReferenceSettings():
            certificate = home.certificate.read_text()
            with closing(ReferenceCustoms(home.path / "backends" / name, certificate, clock)) as customs:
                renewals.append(partial(_trusting, customs, home))
                yield customs
        case DirectorySettings():
            folder = home.path / settings.folder
            with closing(DirectoryBackend(folder, settings.dxp, settings.at_once)) as directory:
                yield directory
        case AmqpBackendSettings():
            async with AmqpBackend(settings, home.path, name) as amqp:
                renewals += amqp.renewals
                yield amqp
        case SftpBackendSettings():
            with closing(SftpBackend(settings, home.path / settings.key, _spool(home, name))) as sftp:
                renewals += sftp.renewals
                yield sftp
        case HttpBackendSettings():
            async with opened_client(settings, home.path) as client:
                renewals.append(client.renewal)
                spool = _spool(home, name)
                if settings.pusher is None:
                    yield PolledBackend(client, settings, spool)
                else:
                    pusher = home.path / settings.pusher
                    pushed = PushedBackend(client, settings, spool, _der(pusher))
                    renewals.append(lambda: partial(setattr, pushed, "pusher", _der(pusher)))
                    yield pushed


def _trusting(desk: Desk, home: Home) -> Callable[[], None]:
    return partial(desk.trust, home.certificate.read_text())


def _der(certificate: Path) -> bytes:
    return load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)


def _spool(home: Home, name: str) -> Path:
    """Where a back-end keeps what is on its way: on the disk of the home, not in memory."""
    folder = home.path / "backends" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
