"""Which messages make one dossier, asked of the real store."""

import asyncio

from sqlalchemy import update

from adapters.store.read.dossiers import SqlDossiers, dossier_of_message
from adapters.store.tables.messages import messages
from gateway.formats.zip_member import opened_part
from gateway.model.dossier import Dossier, Stored
from gateway.model.states import Event
from tests.support.declarations import INVOICE, Declaration, Document
from tests.support.harness import Harness
from tests.support.judging import families
from tests.support.pdfs import pdf
from tests.support.rendering import files, packed, render

ACCOUNT = "broker-aa"
ENTRY = "020220261000000009"


def dossier_of(harness: Harness, message: str) -> Dossier | None:
    with harness.database.engine.connect() as reader:
        return dossier_of_message(reader, message, families())


def paths(dossier: Dossier | None, shelf: str) -> list[str]:
    assert dossier is not None
    return [file.name for file in dossier.shelf(shelf)]


def customs_says(harness: Harness, message: str, **values: object) -> None:
    change = update(messages).where(messages.c.id == message).values(**values)
    harness.database.submit(lambda transaction: transaction.connection.execute(change)).result()


def test_a_declaration_that_was_saved_first_has_both_in_one_dossier(harness: Harness) -> None:
    saved = harness.judged(ACCOUNT, "a.zip", packed(Declaration(operation="G")))
    document = Document(code=INVOICE, body=pdf())
    declared = harness.judged(ACCOUNT, "a.zip", packed(Declaration(documents=(document,))))
    assert declared.event is Event.PASSED
    assert declared.linked == saved.message
    dossier = dossier_of(harness, saved.message)
    assert dossier == dossier_of(harness, declared.message)
    assert dossier is not None
    assert [declaration.id for declaration in dossier.declarations] == [saved.message, declared.message]
    assert dossier.name == declared.message
    assert paths(dossier, "declaration") == [
        "a.zip",
        "TEST00000000000001.xml",
        "a-2.zip",
        "TEST00000000000001-2.xml",
    ]


def test_a_correction_of_what_customs_returned_is_found_by_its_number(harness: Harness) -> None:
    first = harness.judged(ACCOUNT, "a.xml", render(Declaration()))
    customs_says(harness, first.message, customs_status="refused", seq_no="I1", entry_id="1")
    again = harness.judged(ACCOUNT, "a.xml", render(Declaration(head={"NoteS": "更正"})))
    assert again.linked == first.message
    customs_says(harness, again.message, entry_id=ENTRY)
    filing = SqlDossiers(harness.database, families())
    for number in (ENTRY, "1"):
        dossier = asyncio.run(filing.dossier(number))
        assert dossier is not None
        assert dossier.name == ENTRY
        assert dossier.names >= {ENTRY, "1", "I1", first.message, again.message}
        assert len(dossier.declarations) == 2
    assert [entry for entry, _at in asyncio.run(filing.entries(10))] == [ENTRY, "1"]
    assert [entry for entry, _at in asyncio.run(filing.entries(1))] == [ENTRY]


def test_refused_and_repeated_messages_are_in_no_dossier(harness: Harness) -> None:
    body = packed(Declaration())
    accepted = harness.judged(ACCOUNT, "a.zip", body)
    repeated = harness.judged(ACCOUNT, "a.zip", body)
    assert repeated.event is Event.REPEATED
    refused = harness.judged(ACCOUNT, "b.zip", packed(Declaration(head={"TradeName": "x" * 400})))
    assert refused.event is Event.REFUSED
    dossier = dossier_of(harness, accepted.message)
    assert dossier is not None
    assert [declaration.id for declaration in dossier.declarations] == [accepted.message]
    assert paths(dossier, "declaration") == ["a.zip", "TEST00000000000001.xml"]
    assert dossier_of(harness, refused.message) is None


def test_a_file_that_was_sent_separately_is_among_the_documents(harness: Harness) -> None:
    declaration = Declaration(documents=(Document(code=INVOICE, body=pdf()),))
    ((name, body),) = files(declaration).items()
    assert harness.judged(ACCOUNT, name, body).event is Event.WAITING
    declared = harness.judged(ACCOUNT, "a.xml", render(declaration))
    assert declared.event is Event.PASSED
    dossier = dossier_of(harness, declared.message)
    assert dossier is not None
    (file,) = dossier.shelf("documents")
    assert file.name == name
    assert isinstance(file.source, Stored)
    with opened_part(file.source, harness.blobs.open) as stream:
        assert stream.read() == body


def test_only_accounts_of_customs_are_admitted(harness: Harness) -> None:
    filing = SqlDossiers(harness.database, families())
    accounts = ("customs", "association", "premises", ACCOUNT, "trader-a", "nobody", "")
    assert [asyncio.run(filing.admits(account)) for account in accounts] == [True] + [False] * 6
