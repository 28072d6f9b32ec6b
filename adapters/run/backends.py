"""Creates the back-ends that the settings describe: one class for each kind.

The module of a kind is imported when a back-end of it is opened: the libraries for HTTP alone take a quarter
of a second to load, and a node without the sandbox can be installed without its folder.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from adapters.home.home import Home
from adapters.home.named_files import Renewal
from adapters.home.sandbox import check_sandbox
from gateway.config.connections import (
    AmqpBackendSettings,
    AssociationSettings,
    BackendSettings,
    DirectorySettings,
    HttpBackendSettings,
    ReferenceSettings,
    SftpBackendSettings,
)
from gateway.deliver.ports import Backend
from gateway.model.clock import Clock
from gateway.model.register import Register


@asynccontextmanager
async def opened_backend(
    home: Home,
    name: str,
    settings: BackendSettings,
    register: Register,
    clock: Clock,
    renewals: list[Renewal],
) -> AsyncIterator[Backend]:
    """The back-end, connected while the context is open. Functions that renew its keys and certificates are
    added to `renewals`."""
    match settings:
        case AssociationSettings() | ReferenceSettings():
            check_sandbox(name, settings)
            from adapters.sandbox.backends import opened_sandbox

            with opened_sandbox(home, name, settings, register, clock, renewals) as sandbox:
                yield sandbox
        case DirectorySettings():
            from adapters.backends.directory import DirectoryBackend

            folder = home.path / settings.folder
            with closing(DirectoryBackend(folder, settings.dxp, settings.at_once)) as directory:
                yield directory
        case AmqpBackendSettings():
            from adapters.backends.amqp import AmqpBackend

            async with AmqpBackend(settings, home.path, name) as amqp:
                renewals += amqp.renewals
                yield amqp
        case SftpBackendSettings():
            from adapters.backends.sftp import SftpBackend

            with closing(SftpBackend(settings, home.path / settings.key, _spool(home, name))) as sftp:
                renewals += sftp.renewals
                yield sftp
        case HttpBackendSettings():
            from adapters.backends.http import opened_client
            from adapters.backends.http_answers import PolledBackend
            from adapters.backends.http_push import PushedBackend

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


def _der(certificate: Path) -> bytes:
    return load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)


def _spool(home: Home, name: str) -> Path:
    """Where a back-end keeps files in transfer: on the disk of the home, not in memory."""
    folder = home.path / "backends" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
