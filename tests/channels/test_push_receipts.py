"""Receipts into folders that somebody else can write to: what they find there, and what is told of it."""

import asyncio
import os
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.channels.sftp_partner.ports import PartnerPorts, PartnerThread
from adapters.channels.sftp_partner.push_receipts import push_receipts
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.write.receipt_delivery import SqlReceiptDeliveries
from adapters.transport.files.local import LocalFiles
from gateway.model.parties import Delivery
from tests.store.test_receipt_delivery import write_receipts
from tests.support.stores import NOW, Store, register


def push_all(store: Store, root: Path) -> None:
    postings = SqlReceiptDeliveries(store.database)
    ports = PartnerPorts(
        intake=store.messages,
        mailbox=SqlMailbox(store.database),
        deliveries=postings,
        blobs=FilesystemBlobs(root / "blobs"),
        clock=lambda: NOW,
        mark="0123abcd",
    )
    with closing(PartnerThread()) as thread:
        asyncio.run(push_receipts("broker", LocalFiles(root / "theirs"), thread, ports, asyncio.Event()))


@pytest.fixture
def inbox(tmp_path: Path, store: Store) -> Path:
    """Of a party that has two receipts to get."""
    register(store, "broker", Delivery.FOLDER, 1)
    write_receipts(store)
    folder = tmp_path / "theirs" / "InBox"
    folder.mkdir(parents=True)
    return folder


def test_one_cause_that_hinders_many_receipts_is_reported_once(
    store: Store, inbox: Path, tmp_path: Path
) -> None:
    inbox.rmdir()
    inbox.write_bytes(b"no folder")
    with capture_logs() as logs:
        push_all(store, tmp_path)
    assert [(entry["event"], entry["receipts"]) for entry in logs] == [("receipts cannot be brought", 2)]


@pytest.mark.parametrize("planted", ["link", "pipe", "other name", "dangling link"])
def test_a_link_planted_where_a_receipt_is_written_is_not_followed(
    store: Store, inbox: Path, tmp_path: Path, planted: str
) -> None:
    ours = tmp_path / "ours"
    ours.write_bytes(b"of the gateway")
    for delivery in asyncio.run(SqlReceiptDeliveries(store.database).claim("broker", 9, NOW)):
        place = inbox / f".receipt-{delivery.receipt}.tmp"
        match planted:
            case "link":
                place.symlink_to(ours)
            case "dangling link":
                place.symlink_to(tmp_path / "made")
            case "pipe":
                os.mkfifo(place)
            case _:
                place.hardlink_to(ours)
    push_all(store, tmp_path)
    assert sorted(path.name for path in inbox.iterdir()) == ["Gateway_1.zip", "Gateway_2.zip"]
    assert all(path.read_bytes() == b"accepted" and not path.is_symlink() for path in inbox.iterdir())
    assert ours.read_bytes() == b"of the gateway"
    assert not (tmp_path / "made").exists()
