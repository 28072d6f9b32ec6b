"""Starts the visits to parties that host their folders themselves, from the settings."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from adapters.channels.sftp_partner.poller import PolledPartner, Poller, polling
from adapters.channels.sftp_partner.ports import PartnerPorts
from adapters.home.home import Home
from adapters.home.named_files import Renewal
from adapters.transport.files.folders import Files
from adapters.transport.files.local import LocalFiles
from adapters.transport.sftp.sftp import SftpFiles
from gateway.config.connections import DirectoryPartner, PartnerSettings, SftpPartner
from gateway.model.blobs import BlobStore
from gateway.model.clock import Clock
from gateway.model.parties import Account
from gateway.notify.ports import ReceiptDeliveries
from gateway.receive.allowance import AllowanceQuery
from gateway.receive.ports import Intake, Mailbox


@asynccontextmanager
async def visited_partners(
    home: Home,
    account: Callable[[str], Account | None],
    intake: Intake,
    mailbox: Mailbox,
    deliveries: ReceiptDeliveries,
    blobs: BlobStore,
    clock: Clock,
    renewals: list[Renewal],
    room: AllowanceQuery,
) -> AsyncIterator[Sequence[Poller]]:
    """Visits the parties that `gateway.toml` names while the context is open. Functions that renew its keys
    are added to `renewals`."""
    ports = PartnerPorts(
        intake=intake,
        mailbox=mailbox,
        deliveries=deliveries,
        blobs=blobs,
        clock=clock,
        mark=_mark(home),
        room=room,
    )
    partners = [
        PolledPartner(
            name=name,
            account=partial(account, each.account),
            seconds=each.seconds,
            files=_files(home, each),
        )
        for name, each in home.settings().partner.items()
    ]
    renewals += [each.files.renewal for each in partners if isinstance(each.files, SftpFiles)]
    async with polling(partners, ports) as visits:
        yield visits


def _files(home: Home, settings: PartnerSettings) -> Files:
    match settings:
        case SftpPartner():
            return SftpFiles(settings, home.path / settings.key)
        case DirectoryPartner():
            return LocalFiles(home.path / settings.folder)


def _mark(home: Home) -> str:
    """Distinguishes this gateway's claims from another's: a digest of its own certificate."""
    return hashlib.sha256(home.certificate.read_bytes()).hexdigest()[:8]
