"""Dossiers as customs reads them over SFTP and operators from the command line; nobody else sees any."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from adapters.store.tables.dossiers import readings
from adapters.store.tables.messages import events, messages, receipts
from gateway.formats.xml import trusted
from tests.support.keys import xmlsec1_trusts
from tests.support.receipts import faults_of, schema
from tests.support.served import Gateway

DECLARATION = "08-supplement.zip"
DOCUMENTS = "08-supplement-documents.zip"
INSPECTED = "09-inspection.xml"
OTHERS = ["broker-aa", "trader-a", "premises", "association"]


@dataclass(frozen=True)
class Office:
    """A served home with two entries: one whose course is at its end (declared, supplemented, released), one
    whose goods are to be inspected."""

    gateway: Gateway
    entry: str

    @property
    def path(self) -> str:
        return f"/Dossiers/{self.entry}"

    def package(self, name: str, account: str = "broker-aa") -> bytes:
        return (self.gateway.home.path / "samples" / account / name).read_bytes()

    def readings(self) -> list[tuple[str, str, str]]:
        """Actor, part and purpose, oldest first."""
        with self.gateway.reading() as store:
            return [
                (row.actor, row.part, row.purpose)
                for row in store.execute(select(readings).order_by(readings.c.id))
            ]

    def asked(self, *arguments: str) -> Any:
        done = self.gateway.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Gateway(tmp_path_factory.mktemp("dossier")) as gateway:
        office = Office(gateway, "")

        def has_come_to(status: str) -> str:
            query = select(messages.c.entry_id).where(messages.c.customs_status == status)
            with gateway.reading() as store:
                return store.execute(query).scalar() or ""

        gateway.send("broker-aa", DECLARATION, office.package(DECLARATION))
        gateway.until(lambda: has_come_to("supplement_asked"))
        gateway.send("broker-aa", DOCUMENTS, office.package(DOCUMENTS))
        gateway.send("broker-b", INSPECTED, office.package(INSPECTED, "broker-b"))
        gateway.until(lambda: has_come_to("inspection"))
        yield Office(gateway, gateway.until(lambda: has_come_to("closed")))


def fetched(office: Office, folder: Path) -> dict[str, bytes]:
    """All files of the dossier as OpenSSH's `get -r` brings them, by their paths in it."""
    done = office.gateway.login("customs").sftp(f"get -r {office.path} {folder}/fetched")
    assert done.returncode == 0, done.stderr
    root = folder / "fetched"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_customs_reads_a_whole_dossier_and_it_is_what_was_sent(office: Office, tmp_path: Path) -> None:
    dossier = fetched(office, tmp_path)

    assert dossier[f"declaration/{DECLARATION}"] == office.package(DECLARATION)
    assert dossier[f"documents/{DOCUMENTS}"] == office.package(DOCUMENTS)
    sent: dict[str, bytes] = {}
    for name in (DECLARATION, DOCUMENTS):
        with ZipFile(io.BytesIO(office.package(name))) as archive:
            sent |= {entry: archive.read(entry) for entry in archive.namelist()}
    unpacked = {path.rpartition("/")[2]: body for path, body in dossier.items()}
    assert {name: unpacked[name] for name in sent} == sent
    assert {path.partition("/")[0] for path in dossier} == {
        *("declaration", "documents", "envelope", "agreement", "receipts", "customs", "index.xml")
    }
    with office.gateway.reading() as store:
        own = select(messages.c.id).where(messages.c.account == "broker-aa", messages.c.kind == "inbound")
        answers = select(messages.c.body).where(messages.c.kind == "answer", messages.c.linked.in_(own))
        bodies = set(store.execute(answers).scalars())
        ours = select(receipts.c.body).where(receipts.c.verdict == "accepted", receipts.c.message.in_(own))
        assert bodies == {body for path, body in dossier.items() if path.startswith("customs/")}
        assert set(store.execute(ours).scalars()) <= set(dossier.values())


def test_the_index_has_digest_and_size_of_every_part_and_what_was_asked(
    office: Office, tmp_path: Path
) -> None:
    dossier = fetched(office, tmp_path)
    index = dossier.pop("index.xml")
    assert faults_of(schema("gateway", "dossier.xsd"), index) == []
    root = trusted(index)
    listed = {
        part.get("path"): (part.get("size"), part.get("sha256")) for part in root.iterfind("{*}Parts/{*}Part")
    }
    assert listed == {
        path: (str(len(body)), hashlib.sha256(body).hexdigest()) for path, body in dossier.items()
    }
    requests = {(element.get("what"), element.get("note")) for element in root.iterfind("{*}Asked")}
    assert ("request", "supplement") in requests
    assert "supplement_asked" in {what for what, _note in requests}


def test_listed_sizes_are_those_that_are_read(office: Office) -> None:
    with office.gateway.login("customs").session() as client:
        listed = client.listdir("/Dossiers")
        assert (len(listed), office.entry in listed) == (2, True)
        for shelf in ("", "/documents", "/customs"):
            for entry in client.listdir_attr(office.path + shelf):
                path = f"{office.path}{shelf}/{entry.filename}"
                assert client.stat(path).st_mode == entry.st_mode
                if entry.st_mode == 0o100444:
                    with client.open(path) as file:
                        assert len(file.read()) == entry.st_size == file.stat().st_size


def test_every_look_is_noted_with_who_when_what_and_why(office: Office) -> None:
    purpose = "customs account over SFTP"
    before = len(office.readings())
    with office.gateway.login("customs").session() as client:
        client.listdir("/Dossiers")
        client.stat(f"{office.path}/index.xml")
        client.listdir(office.path)
        client.listdir(f"{office.path}/documents")
        client.open(f"{office.path}/declaration/{DECLARATION}").close()
    assert office.readings()[before:] == [
        ("customs", "", purpose),
        ("customs", "documents/", purpose),
        ("customs", f"declaration/{DECLARATION}", purpose),
    ]
    with office.gateway.reading() as store:
        logged = store.execute(select(events).where(events.c.event == "read")).all()
        assert len(logged) == len(store.execute(select(readings)).all())
        assert {row.state for row in logged} == {"closed"}


@pytest.mark.parametrize("account", OTHERS)
def test_accounts_other_than_customs_see_no_dossiers(office: Office, account: str) -> None:
    before = office.readings()
    existing = (office.path, f"{office.path}/index.xml", f"{office.path}/declaration/{DECLARATION}")
    unknown = ("/Nothing/x", "/Nothing/x/index.xml", "/Nothing/x/declaration/y.zip")
    with office.gateway.login(account).session() as client:
        assert "Dossiers" not in client.listdir("/")

        def errors(path: str) -> list[str]:
            """How the server answers whatever may be asked of a path."""
            replies = []
            for ask in (
                client.stat,
                client.listdir,
                client.open,
                client.remove,
                lambda path: client.open(path, "wb"),
                lambda path: client.rename(path, "/OutBox/x.zip"),
                lambda path: client.posix_rename("/OutBox/none.tmp", path),
                lambda path: client.truncate(path, 0),
                client.mkdir,
            ):
                with pytest.raises(OSError, match=r".") as refused:
                    ask(path)
                replies.append(f"{type(refused.value).__name__} {refused.value}")
            return replies

        for existing_path, missing_path in zip(existing, unknown, strict=True):
            assert errors(existing_path) == errors(missing_path)
        assert errors("/Dossiers") == errors("/Nothing")
    listed = office.gateway.login(account).sftp(f"ls {office.path}")
    assert listed.returncode != 0
    assert "not found" in listed.stderr
    assert office.readings() == before


def test_nothing_of_a_dossier_can_be_changed(office: Office, tmp_path: Path) -> None:
    file = f"{office.path}/declaration/{DECLARATION}"
    with office.gateway.login("customs").session() as client:
        client.open("/OutBox/mine.tmp", "wb").close()
        for change in (
            lambda: client.open(file, "wb"),
            lambda: client.open(file, "r+b"),
            lambda: client.open(f"{office.path}/new.xml", "wb"),
            lambda: client.remove(file),
            lambda: client.rename(file, "/OutBox/a.zip"),
            lambda: client.posix_rename("/OutBox/mine.tmp", file),
            lambda: client.rename("/OutBox/mine.tmp", "/Dossiers/a.zip"),
            lambda: client.truncate(file, 1),
            lambda: client.chmod(file, 0o777),
            lambda: client.mkdir("/Dossiers/0"),
            lambda: client.symlink("/etc/passwd", f"{office.path}/a"),
        ):
            with pytest.raises(PermissionError):
                change()
        with pytest.raises(OSError, match="not empty"):
            client.rmdir(office.path)
        client.remove("/OutBox/mine.tmp")
    assert fetched(office, tmp_path)[f"declaration/{DECLARATION}"] == office.package(DECLARATION)


@pytest.mark.parametrize(
    "path",
    [
        "/Dossiers/../etc/passwd",
        "/Dossiers/../../etc/passwd",
        "/Dossiers/%2e%2e/etc/passwd",
        "/Dossiers/..%2f..%2fetc",
        "/Dossiers/....//etc",
        "/Dossiers/ENTRY/../../etc/passwd",
        "/Dossiers/ENTRY/declaration/..\\..\\..\\etc\\passwd",
        "/Dossiers/ENTRY/declaration/none.zip",
        "/Dossiers/ENTRY/declaration/08-supplement.zip/08-supplement.xml",
        "/Dossiers/ENTRY/Declaration/08-supplement.zip",
        "/Dossiers/ENTRY/keys",
        "/Dossiers/ENTRY' OR '1'='1",
        "/Dossiers/02%",
        "/Dossiers/0*",
        "/dossiers/ENTRY",
        "/Dossiers/" + "0" * 250,
        "/Dossiers/" + "0" * 20_000,
        "/Dossiers/" + "x/" * 20_000,
        "/Dossiers/ENTRY/declaration/" + "a" * 5_000,
        "/Dossiers/\x00",
        "/Dossiers/ENTRY\x00",
        "/Dossiers/ENTRY/index.xml\n",
        "/Dossiers/０２０２",
    ],
)
def test_a_hostile_path_finds_nothing(office: Office, path: str) -> None:
    before = office.readings()
    with office.gateway.login("customs").session() as client:
        for ask in (client.stat, client.listdir, client.open):
            with pytest.raises(OSError, match=r"No such file|file name"):
                ask(path.replace("ENTRY", office.entry))
        assert office.entry in client.listdir("/Dossiers")
    assert office.readings() == before


def test_dots_in_a_path_lead_to_the_same_dossier(office: Office) -> None:
    with office.gateway.login("customs").session() as client:
        for path in (f"/Dossiers/../Dossiers/{office.entry}", f"Dossiers/./{office.entry}/documents/.."):
            assert client.normalize(path) == office.path
            assert client.stat(path).st_mode == 0o040555
        with pytest.raises(OSError, match="folder"):
            client.open(office.path)
        with pytest.raises(FileNotFoundError):
            client.listdir(f"{office.path}/index.xml")


def test_an_account_that_is_no_longer_customs_reads_no_further(office: Office) -> None:
    gateway = office.gateway
    with gateway.login("customs").session() as client:
        listed = {party["account"]: party for party in office.asked("parties", "list")}
        role = gateway.home.path / "role.toml"
        party = listed["customs"]
        for now, sees in (("premises", False), ("customs", True)):
            role.write_text(
                f'[[party]]\ncode = "{party["code"]}"\nscc = "{party["scc"]}"\n'
                f'name = "{party["name"]}"\nrole = "{now}"\n'
            )
            done = gateway.cli("parties", "import", str(role))
            assert done.returncode == 0, done.stderr
            assert ("Dossiers" in client.listdir("/")) is sees
            if not sees:
                with pytest.raises(FileNotFoundError):
                    client.open(f"{office.path}/index.xml")


def test_an_operator_reads_it_with_a_reason_by_any_of_its_numbers(office: Office) -> None:
    shown = office.asked("dossier", "show", office.entry, "--reason", "complaint 17")
    assert shown["dossier"] == office.entry
    assert shown["owed"]["missing"] == []
    assert "supplement_asked" in [request["what"] for request in shown["asked"]]
    assert shown["readings"][-1] | {"at": ""} == {
        "at": "",
        "actor": shown["readings"][-1]["actor"],
        "entry": office.entry,
        "part": None,
        "purpose": "complaint 17",
    }
    (declaration,) = shown["declarations"]
    with office.gateway.reading() as store:
        later = store.execute(select(messages.c.id).where(messages.c.type == "DocumentPackage")).scalar_one()
    for number in (declaration["id"], declaration["seq_no"], declaration["reference"], later):
        again = office.asked("dossier", "show", number, "--reason", "the same")
        assert again["parts"] == shown["parts"]
    result = office.asked("dossier", "readings", declaration["id"], "--limit", "0")
    assert {"complaint 17", "the same"} <= {row["purpose"] for row in result}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "ENTRY"), 2, "--reason"),
        (("show", "ENTRY", "--reason", " "), 2, "--reason"),
        (("show", "999", "--reason", "x"), 1, "999"),
        (("export", "ENTRY", "--to", "FILE"), 2, "--reason"),
        (("export", "ENTRY", "--to", "THERE", "--reason", "x"), 2, "already"),
        (("export", "ENTRY", "--to", "NOWHERE", "--reason", "x"), 3, "nowhere: No such folder"),
        (("review", "ENTRY", "--outcome", "clear", "--note", ""), 2, "--note"),
        (("sample", "--seed", "a"), 2, "--share"),
        (("sample", "--seed", "a", "--share", "2"), 2, "--share"),
        (("readings", "999"), 1, "999"),
    ],
)
def test_a_command_that_cannot_be_obeyed_says_why_and_notes_nothing(
    office: Office, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    package_copy = tmp_path / "there.zip"
    package_copy.write_bytes(b"mine")
    before = office.readings()
    named = {"ENTRY": office.entry, "FILE": str(tmp_path / "new.zip"), "THERE": str(package_copy)}
    named["NOWHERE"] = str(tmp_path / "nowhere" / "new.zip")
    done = office.gateway.cli("dossier", *(named.get(argument, argument) for argument in arguments))
    assert done.returncode == code
    assert says in done.stderr
    assert office.readings() == before
    assert package_copy.read_bytes() == b"mine"


def test_an_exported_dossier_is_whole_and_signed(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "entry.zip"
    result = office.asked("dossier", "export", office.entry, "--to", str(file), "--reason", "稽查")
    with ZipFile(file) as archive:
        index = archive.read("index.xml")
        files = {name: archive.read(name) for name in archive.namelist() if name != "index.xml"}
    assert [path.name for path in tmp_path.iterdir()] == ["entry.zip"]
    assert result["parts"] == len(files)
    assert files[f"declaration/{DECLARATION}"] == office.package(DECLARATION)
    assert faults_of(schema("gateway", "dossier.xsd"), index) == []
    root = trusted(index)
    taken = root.find("{*}Export")
    assert taken is not None
    assert taken.get("reason") == "稽查"
    assert {part.get("path"): part.get("sha256") for part in root.iterfind("{*}Parts/{*}Part")} == {
        path: hashlib.sha256(body).hexdigest() for path, body in files.items()
    }
    assert xmlsec1_trusts(index, office.gateway.home.certificate.read_text())
    signed = tmp_path / "index.xml"
    signed.write_bytes(index)
    assert office.asked("receipts", "verify", str(signed))["valid"]
    assert office.readings()[-1][1:] == ("export", "稽查")


def test_a_finding_is_drawn_recorded_and_counted_by_the_rule_that_decided(office: Office) -> None:
    sample = office.asked("dossier", "sample", "--seed", "2026-11", "--share", "0.05")
    assert [row["entry"] for row in sample] == [office.entry]
    assert sample == office.asked("dossier", "sample", "--seed", "2026-11", "--count", "9", "--office", "02*")
    assert office.asked("dossier", "sample", "--seed", "1", "--count", "1", "--trader-class", "D") == []
    assert office.asked("dossier", "sample", "--seed", "1", "--count", "1", "--until", "2001-01-01") == []
    for outcome in ("found", "clear"):
        office.asked("dossier", "review", office.entry, "--outcome", outcome, "--note", "重量不符")
        row, other = office.asked("stats", "findings", "--since", "2001-01-01")["triage"]
        counted = {name: row[name] for name in ("declared", "released", "inspected", "clear", "found")}
        assert counted == {"declared": 1, "released": 1, "inspected": 0, "clear": 0, "found": 0} | {
            outcome: 1
        }
        assert row["rule"].startswith("low: trader A")
        assert row["treated_as"] == "low"
        assert (other["declared"], other["released"], other["inspected"]) == (1, 0, 1)
    assert office.asked("stats", "findings", "--until", "2001-01-01") == {"triage": [], "faults": []}
