"""The contract of `ports.Backend`, for each implementation of it."""

import asyncio
import hashlib
import io
import pickle
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from adapters.backends.reference.customs import ReferenceCustoms
from gateway.message import (
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
from gateway.parties import Party, Role
from gateway.ports import Answer, Backend, Outcome
from gateway.signing import XadesSigner
from gateway.submission import build_envelope
from gateway.xml import trusted
from tests.keys import Identity, identity

NOW = datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC)
EVERYTHING = 1000


GATEWAY = identity("p-256", "gateway")
STRANGER = identity("p-256", "stranger")


class Customs(ReferenceCustoms):
    """What every implementation is asked here: the port, and how many submissions ever reached it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, GATEWAY.certificate_pem, lambda: NOW)
        self.file = folder / "customs.db"

    def calls(self, key: str) -> list[str]:
        with closing(sqlite3.connect(self.file)) as database:
            return [row[0] for row in database.execute("SELECT outcome FROM calls WHERE key = ?", (key,))]


BACKENDS: dict[str, Callable[[Path], Customs]] = {"reference": Customs}


@pytest.fixture(params=BACKENDS)
def customs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Customs]:
    with closing(BACKENDS[request.param](tmp_path / "customs")) as opened:
        yield opened


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


@dataclass(frozen=True)
class Sent:
    """A submission with the package that goes with it."""

    submission: Submission
    package: bytes

    def to(self, customs: Backend) -> tuple[Outcome, str]:
        return asyncio.run(customs.submit(self.submission, io.BytesIO(self.package)))

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
    party: str = "2200980001",
    stated: Callable[[tuple[Part, ...]], tuple[Part, ...]] = lambda parts: parts,
    **facts: str,
) -> Sent:
    """A declaration as the gateway submits it; `stated` changes the parts that the envelope names."""
    files = parts or {"报关单.xml": f"<DecMessage>{reference}</DecMessage>".encode(), "发票.pdf": b"%PDF-1.4"}
    package = next(iter(files.values())) if bare else zipped(files)
    found = tuple(
        Part(name=name, sha256=sha(body), size=len(body), pdf=Pdf(pages=1) if name.endswith(".pdf") else None)
        for name, body in files.items()
    )
    key = new_id(NOW, next(_entropy).to_bytes(10, "big"))
    name = name or ("报关单.xml" if bare else "报关单.zip")
    arrival = Arrival(
        id=key,
        account="broker-aa",
        channel="sftp",
        name=name,
        sha256=sha(package),
        size=len(package),
        received_at=NOW,
    )
    envelope = build_envelope(
        received=Received(arrival=arrival, attempts=1, link=ChainLink(sequence=1, digest="00" * 32)),
        package=Package(document=b"", document_name=found[0].name, is_zip=not bare, parts=stated(found)),
        facts=Facts(
            key=Key(party=party, family="cn-dec", type="DecMessage", reference=reference),
            content="00" * 32,
            body="00" * 32,
            operation=operation,
            values={"office": "2248", "direction": "I"} | facts,
        ),
        sender=Party(code=party, scc="91310000MA1FL00001", name="报关行", role=Role.BROKER),
        findings=(),
        version="1",
        rules="00" * 32,
        policy="00" * 32,
        created_at=NOW,
        certificate=None,
        linked=None,
    )
    submission = Submission(
        key=key,
        destination="reference",
        envelope=XadesSigner(signatory.key_pem, signatory.certificate_pem).sign(envelope),
        package_sha256=sha(package),
        package_name=name,
        package_size=len(package),
    )
    return Sent(submission, package)


def told(customs: Backend) -> Sequence[Answer]:
    return asyncio.run(customs.answers(EVERYTHING))


def values(answer: Answer) -> dict[str, str]:
    root = trusted(answer.body)
    return {etree.QName(child).localname: child.text or "" for child in root}


def channels(answers: Sequence[Answer]) -> list[str]:
    return [values(answer).get("CHANNEL", "technical") for answer in answers]


def test_a_declaration_is_taken_numbered_and_goes_its_course_to_release(customs: Customs) -> None:
    assert sent("C-1", ie_date="20261120").to(customs) == (Outcome.TAKEN, "")

    technical, *notices = [values(answer) for answer in told(customs)]
    assert technical == {
        "ResponseCode": "0",
        "ErrorMessage": "导入成功",
        "ClientSeqNo": "C-1",
        "SeqNo": "I20260000000000001",
        "TrnPreId": "",
    }
    assert [notice["CHANNEL"] for notice in notices] == ["L", "J", "P", "R"]
    for notice in notices:
        assert notice["CUS_CIQ_NO"] == "I20260000000000001"
        assert notice["ENTRY_ID"] == "224820261000000001"
        assert notice["NOTICE_DATE"] == "2026-11-23T10:00:00"
        assert notice["CUSTOM_MASTER"] == "2248"
        assert notice["I_E_DATE"] == "20261120"
        assert notice["D_DATE"] == "2026-11-23T00:00:00"


def test_numbers_tell_import_from_export_and_office_from_office(customs: Customs) -> None:
    for reference, office, direction in (("A", "2248", "I"), ("B", "2248", "E"), ("C", "5317", "I")):
        assert sent(reference, office=office, direction=direction).to(customs)[0] is Outcome.TAKEN

    stored = [notice for notice in map(values, told(customs)) if notice.get("CHANNEL") == "L"]
    assert [(notice["CUS_CIQ_NO"], notice["ENTRY_ID"]) for notice in stored] == [
        ("I20260000000000001", "224820261000000001"),
        ("E20260000000000002", "224820260000000001"),
        ("I20260000000000003", "531720261000000001"),
    ]


def test_a_save_is_numbered_and_the_declaration_after_it_keeps_the_number(customs: Customs) -> None:
    sent("C-1", Operation.SAVE).to(customs)
    sent("C-1", Operation.SAVE, party="2200980002").to(customs)
    sent("C-1", Operation.DECLARE).to(customs)

    saved, anothers, declared, *notices = [values(answer) for answer in told(customs)]
    assert saved["SeqNo"] == declared["SeqNo"] == notices[0]["CUS_CIQ_NO"]
    assert anothers["SeqNo"] != saved["SeqNo"]
    assert [notice["CHANNEL"] for notice in notices] == ["L", "J", "P", "R"]


@pytest.mark.parametrize(
    ("reference", "operation", "course"),
    [
        ("RETURNED-1", Operation.DECLARE, ["technical", "E"]),
        ("RETURNED-1", Operation.SAVE, ["technical"]),
        ("FAILED-1", Operation.DECLARE, ["technical"]),
        ("FAILED-1", Operation.SAVE, ["technical"]),
        ("C-FAILED-1", Operation.DECLARE, ["technical", "L", "J", "P", "R"]),
    ],
)
def test_a_reference_forces_its_course(
    customs: Customs, reference: str, operation: Operation, course: list[str]
) -> None:
    assert sent(reference, operation).to(customs)[0] is Outcome.TAKEN

    assert channels(told(customs)) == course


def test_a_returned_declaration_has_a_reason_and_no_entry_number(customs: Customs) -> None:
    sent("RETURNED-1").to(customs)

    returned = values(told(customs)[-1])
    assert returned["NOTE"].startswith("海关退单")
    assert returned["ENTRY_ID"] == ""
    assert returned["CUS_CIQ_NO"] == "I20260000000000001"


def test_a_failed_import_is_given_no_number(customs: Customs) -> None:
    sent("FAILED-1").to(customs)

    (failed,) = map(values, told(customs))
    assert failed["ResponseCode"] == "1"
    assert failed["ErrorMessage"]
    assert failed["ClientSeqNo"] == "FAILED-1"
    assert "SeqNo" not in failed


def test_the_same_submission_again_has_no_second_effect_and_is_counted(customs: Customs) -> None:
    once = sent()

    outcomes = [once.to(customs)[0] for _ in range(3)]

    assert outcomes == [Outcome.TAKEN] * 3
    assert channels(told(customs)) == ["technical", "L", "J", "P", "R"]
    assert customs.calls(once.key) == ["taken"] * 3


def test_submissions_at_the_same_time_with_one_key_have_one_effect(customs: Customs) -> None:
    once = sent()

    async def at_once() -> list[tuple[Outcome, str]]:
        return await asyncio.gather(
            *(customs.submit(once.submission, io.BytesIO(once.package)) for _ in range(8))
        )

    assert {outcome for outcome, _ in asyncio.run(at_once())} == {Outcome.TAKEN}
    assert channels(told(customs)) == ["technical", "L", "J", "P", "R"]


def test_asked_it_says_whether_it_has_a_submission(customs: Customs) -> None:
    once = sent()

    assert asyncio.run(customs.ask(once.key)) is Outcome.LATER
    once.to(customs)
    assert asyncio.run(customs.ask(once.key)) is Outcome.TAKEN


def test_answers_come_oldest_first_and_again_until_acknowledged(customs: Customs) -> None:
    for reference in ("A", "B"):
        sent(reference).to(customs)
    answers = told(customs)

    assert channels(answers) == ["technical", "L", "J", "P", "R"] * 2
    assert told(customs) == answers
    assert asyncio.run(customs.answers(3)) == answers[:3]

    asyncio.run(customs.acknowledge([answers[0].id, answers[4].id]))
    assert told(customs) == [*answers[1:4], *answers[5:]]
    asyncio.run(customs.acknowledge([answer.id for answer in answers]))
    assert told(customs) == []


def test_answers_say_which_submission_they_answer(customs: Customs) -> None:
    once = sent()
    once.to(customs)

    assert {answer.key for answer in told(customs)} == {once.key}


def test_answers_have_names_of_their_own(customs: Customs) -> None:
    for reference in ("A", "B", "FAILED-C"):
        sent(reference).to(customs)

    names = [answer.name for answer in told(customs)]
    assert len(set(names)) == len(names) == 11


def test_what_was_taken_is_there_when_the_folder_is_opened_again(customs: Customs, tmp_path: Path) -> None:
    once = sent()
    once.to(customs)
    answers = told(customs)
    asyncio.run(customs.acknowledge([answers[0].id]))
    customs.close()

    with closing(Customs(tmp_path / "customs")) as again:
        assert asyncio.run(again.ask(once.key)) is Outcome.TAKEN
        assert told(again) == answers[1:]
        assert once.to(again)[0] is Outcome.TAKEN
        sent("C-2").to(again)
        assert values(told(again)[-1])["CUS_CIQ_NO"] == "I20260000000000002"


def refused(customs: Customs, wrong: Sent) -> str:
    """The reason, once it is certain that nothing was taken."""
    outcome, reason = wrong.to(customs)
    assert outcome is Outcome.NEVER
    assert asyncio.run(customs.ask(wrong.key)) is Outcome.LATER
    assert told(customs) == []
    assert customs.calls(wrong.key) == ["never"]
    return reason


def test_an_envelope_that_another_signed_is_refused(customs: Customs) -> None:
    assert "certificate-unknown" in refused(customs, sent(signatory=STRANGER))


def test_an_envelope_that_no_one_signed_is_refused(customs: Customs) -> None:
    signed = sent()
    root = trusted(signed.submission.envelope)
    root.remove(root[-1])

    unsigned = replace(signed, submission=replace(signed.submission, envelope=etree.tostring(root)))
    assert "signature-missing" in refused(customs, unsigned)


def test_an_envelope_that_was_changed_is_refused(customs: Customs) -> None:
    signed = sent()
    changed = signed.submission.envelope.replace(b">2248<", b">5317<")
    assert changed != signed.submission.envelope

    wrong = replace(signed, submission=replace(signed.submission, envelope=changed))
    assert "signature-invalid" in refused(customs, wrong)


def test_an_envelope_of_another_message_is_refused(customs: Customs) -> None:
    first, second = sent("A"), sent("B")
    mixed = Sent(replace(second.submission, envelope=first.submission.envelope), first.package)
    assert refused(customs, mixed) == "the envelope belongs to another message"


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_package_with_one_other_byte_is_refused(customs: Customs, at: int) -> None:
    right = sent()
    body = bytearray(right.package)
    body[at] ^= 1
    assert "报关单.zip" in refused(customs, replace(right, package=bytes(body)))


def changed(name: str, **change: Any) -> Callable[[tuple[Part, ...]], tuple[Part, ...]]:
    return lambda parts: tuple(replace(part, **change) if part.name == name else part for part in parts)


@pytest.mark.parametrize("name", ["报关单.xml", "发票.pdf"])
@pytest.mark.parametrize("change", [{"sha256": "ab" * 32}, {"size": 1}], ids=["digest", "size"])
def test_a_part_that_is_not_as_the_envelope_states_is_refused(
    customs: Customs, name: str, change: dict[str, Any]
) -> None:
    assert name in refused(customs, sent(stated=changed(name, **change)))


def test_a_part_that_the_envelope_does_not_name_is_refused(customs: Customs) -> None:
    assert "other parts" in refused(customs, sent(stated=lambda parts: parts[:1]))


def test_a_part_that_is_not_in_the_package_is_refused(customs: Customs) -> None:
    missing = Part(name="more.pdf", sha256="ab" * 32, size=1, pdf=Pdf())
    assert "other parts" in refused(customs, sent(stated=lambda parts: (*parts, missing)))


def test_a_declaration_to_no_office_is_refused_and_uses_up_no_number(customs: Customs) -> None:
    assert "office" in refused(customs, sent("A", office=""))

    sent("B").to(customs)
    assert values(told(customs)[0])["SeqNo"] == "I20260000000000001"


def test_a_bare_declaration_is_taken(customs: Customs) -> None:
    assert sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True).to(customs) == (Outcome.TAKEN, "")


@pytest.mark.parametrize("name", ["envelope.xml", "../envelope.xml", "C:\\up.xml", "con\u202e.xml"])
def test_a_file_with_a_dangerous_name_is_taken_under_a_harmless_one(customs: Customs, name: str) -> None:
    assert sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True, name=name).to(customs)[0] is Outcome.TAKEN


def test_a_large_package_leaves_nothing_behind(customs: Customs, tmp_path: Path) -> None:
    parts = {"报关单.xml": b"<DecMessage/>", "照片.pdf": b"%PDF-1.4" + bytes(range(256)) * (20 << 10)}
    assert sent(parts=parts).to(customs) == (Outcome.TAKEN, "")

    assert {file.name for file in (tmp_path / "customs").iterdir()} <= {
        "customs.db",
        "customs.db-wal",
        "customs.db-shm",
    }


SUBMITTER = """
import asyncio, io, pickle, sys
from pathlib import Path
from adapters.backends.reference.customs import ReferenceCustoms

work = pickle.loads(sys.stdin.buffer.read())
customs = ReferenceCustoms(Path(sys.argv[1]), work["certificate"], lambda: work["now"])
for submission, package in work["sent"]:
    outcome, reason = asyncio.run(customs.submit(submission, io.BytesIO(package)))
    print(submission.key, outcome, flush=True)
"""


def test_what_it_said_it_took_survives_being_killed(tmp_path: Path) -> None:
    work = [sent(f"C-{number}") for number in range(60)]
    child = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        pairs = [(one.submission, one.package) for one in work]
        child.stdin.write(pickle.dumps({"certificate": GATEWAY.certificate_pem, "now": NOW, "sent": pairs}))
        child.stdin.close()
        said = [child.stdout.readline().split() for _ in range(10)]
        child.kill()
        said += [line.split() for line in child.stdout]

    with closing(Customs(tmp_path)) as again:
        for key, outcome in said:
            assert outcome == b"taken"
            assert asyncio.run(again.ask(key.decode())) is Outcome.TAKEN
        for one in work:
            assert one.to(again)[0] is Outcome.TAKEN
        answers = told(again)
        assert channels(answers) == ["technical", "L", "J", "P", "R"] * len(work)
        assert len({values(answer)["ENTRY_ID"] for answer in answers if "CHANNEL" in values(answer)}) == 60
