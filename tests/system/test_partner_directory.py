"""A folder of this machine that a party fills: what is taken from it, when, and what comes back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.blobs import SMALL
from tests.support.partner import HostedPartner, declaration


@pytest.fixture(scope="module")
def _hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedPartner]:
    folder = tmp_path_factory.mktemp("directory")
    hosted = HostedPartner(folder, folder / "theirs", f'kind = "directory"\nfolder = "{folder / "theirs"}"\n')
    with hosted.gateway:
        yield hosted


@pytest.fixture
def hosted(_hosted: HostedPartner) -> HostedPartner:
    if not _hosted.gateway.running:
        _hosted.gateway.forget_plan()
        _hosted.gateway.start()
    return _hosted


def looked(hosted: HostedPartner) -> None:
    """Until the node has looked into OutBox twice from now on: it took what was put there afterwards."""
    reference = hosted.gateway.next_name()
    hosted.put(f"{reference}.xml", declaration(reference))
    hosted.gateway.until(lambda: hosted.named(f"{reference}.xml"))


def test_a_declaration_is_delivered_to_customs_and_its_receipts_come_back(hosted: HostedPartner) -> None:
    reference = hosted.gateway.next_name()
    hosted.put(f"{reference}.xml", declaration(reference))

    hosted.comes_to_its_end(reference)
    (message,) = hosted.named(f"{reference}.xml")
    assert (message["account"], message["channel"]) == ("broker-aa", "partner")
    assert (hosted.root / "SentBox" / f"{reference}.xml").read_bytes() == declaration(reference)


def test_a_refused_file_goes_to_fail_box_with_a_report(hosted: HostedPartner) -> None:
    reference = hosted.gateway.next_name()
    hosted.put(f"{reference}.xml", b"<DecMessage")

    hosted.gateway.until(lambda: len([name for name in hosted.names("FailBox") if reference in name]) == 2)
    refused, report = sorted(name for name in hosted.names("FailBox") if reference in name)
    assert refused == f"{reference}.xml"
    assert report.startswith(f"Report_{reference}_")
    hosted.gateway.until(lambda: hosted.receipt_counts(reference) == {"Gateway": 1, "Failed": 1})


def test_unfinished_names_are_left_until_they_are_finished(hosted: HostedPartner) -> None:
    reference = hosted.gateway.next_name()
    names = [f"{reference}-{number}{ending}" for number, ending in enumerate((".tmp", ".TEMP", ".part"))]
    names.append(f".{reference}-3")
    for name in names:
        (hosted.root / "OutBox" / name).write_bytes(declaration(reference))
    looked(hosted)
    assert not [row for row in hosted.stored() if reference in row["name"]]

    (hosted.root / "OutBox" / names[0]).rename(hosted.root / "OutBox" / f"{reference}.xml")
    hosted.gateway.until(lambda: f"{reference}.xml" in hosted.names("SentBox"))
    assert set(names[1:]) <= set(hosted.names("OutBox"))


def test_the_same_content_under_another_name_has_no_second_effect(hosted: HostedPartner) -> None:
    reference = hosted.gateway.next_name()
    hosted.put(f"{reference}.xml", declaration(reference))
    hosted.comes_to_its_end(reference)

    hosted.put(f"{reference}-again.xml", declaration(reference))
    hosted.gateway.until(lambda: f"{reference}-again.xml" in hosted.names("SentBox"))
    hosted.gateway.until(lambda: hosted.receipt_counts(f"{reference}-again"))
    hosted.put(f"{reference}.xml", declaration(reference))
    hosted.gateway.until(lambda: len([name for name in hosted.names("SentBox") if reference in name]) == 3)
    assert hosted.released(reference) == 1


def test_links_folders_pipes_and_names_that_cannot_be_shown_are_left(
    hosted: HostedPartner, tmp_path: Path
) -> None:
    out = hosted.root / "OutBox"
    secret = tmp_path / "secret.xml"
    secret.write_text("of the gateway's machine")
    (out / "link.xml").symlink_to(secret)
    (out / "folder.xml").mkdir()
    os.mkfifo(out / "pipe.xml")
    hostile = [b"a\nb.xml", b"\xff\xfe.xml", ("报" * 70 + ".xml").encode(), "\u202egpj.xml".encode()]
    for name in hostile:
        (out / os.fsdecode(name)).write_bytes(b"<x/>")

    looked(hosted)
    left = {"link.xml", "folder.xml", "pipe.xml", *map(os.fsdecode, hostile)}
    assert left <= set(hosted.names("OutBox"))
    assert not left & {row["name"] for row in hosted.stored()}
    assert secret.exists()


def test_a_file_that_is_larger_than_the_account_may_send_is_refused_without_being_read(
    hosted: HostedPartner,
) -> None:
    name = f"{hosted.gateway.next_name()}.xml"
    os.truncate(os.open(hosted.root / "OutBox" / name, os.O_CREAT | os.O_WRONLY), 600 << 20)

    hosted.gateway.until(lambda: name in hosted.names("FailBox"))
    (report,) = [file for file in hosted.names("FailBox") if file.startswith(f"Report_{name[:-4]}_")]
    assert "package-too-large" in (hosted.root / "FailBox" / report).read_text("utf-8")
    assert not hosted.named(name)


def test_a_claim_of_another_gateway_is_left_to_it(hosted: HostedPartner) -> None:
    reference = hosted.gateway.next_name()
    claimed = f".{reference}.xml.01KAR8WA5S0000000000000000.deadbeef.taken"
    (hosted.root / "OutBox" / claimed).write_bytes(declaration(reference))

    looked(hosted)
    assert claimed in hosted.names("OutBox")
    assert not hosted.named(f"{reference}.xml")
    (hosted.root / "OutBox" / claimed).unlink()


def test_folders_that_were_removed_while_it_was_served_are_there_again(hosted: HostedPartner) -> None:
    folders = [hosted.root / name for name in ("InBox", "SentBox")]
    hosted.gateway.until(lambda: all(folder.is_dir() for folder in folders))
    for folder in folders:
        folder.rename(hosted.root / f"{folder.name}-gone")
    reference = hosted.gateway.next_name()
    hosted.put(f"{reference}.xml", declaration(reference))
    hosted.comes_to_its_end(reference)


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("add-a-message", "before"),
        ("add-a-message", "after"),
        ("keep-a-blob", "after"),
        ("move-a-local-file", "before"),
        ("move-a-local-file", "after"),
    ],
)
def test_a_file_is_taken_once_though_the_node_is_killed_meanwhile(
    hosted: HostedPartner, place: str, moment: str
) -> None:
    reference = hosted.gateway.next_name()
    hosted.gateway.plan("node", place, moment, 1)
    large = b" " * SMALL if place == "keep-a-blob" else b""
    hosted.put(f"{reference}.xml", declaration(reference) + large)
    assert hosted.gateway.ended() == -signal.SIGKILL

    hosted.gateway.start()
    hosted.comes_to_its_end(reference)


def test_a_receipt_comes_once_though_the_node_is_killed_before_it_knows_that_it_brought_it(
    hosted: HostedPartner,
) -> None:
    reference = hosted.gateway.next_name()
    hosted.gateway.plan("node", "note-that-receipts-were-delivered", "before", 1)
    hosted.put(f"{reference}.xml", declaration(reference))
    assert hosted.gateway.ended() == -signal.SIGKILL

    hosted.gateway.start()
    hosted.comes_to_its_end(reference)
