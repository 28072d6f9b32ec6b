"""Decisions on many messages, recorded so that a change of the pipeline is held to what was decided before.

`python -m tests.judge.recorded_decisions` records them anew, where they are meant to change. What differs
from run to run is left out: signatures, digests and sizes of what is signed by new keys, digests of rules
and policy.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from adapters.store.tables.messages import agreements
from gateway.judge.pipeline import judge
from gateway.model.agreements import Act
from gateway.model.decision import AgreementOutcome, Decision
from gateway.model.message import Arrival, ChainLink, Received, new_id
from gateway.model.parties import RegisteredCertificate, SignaturePolicy
from tests.judge.rule_cases import BROKEN, INVOICE_FILE, REQUIRED, everything
from tests.support import bad_messages, bad_signatures, hostile_zips
from tests.support.agreement_requests import request
from tests.support.association import ACCOUNT as ASSOCIATION
from tests.support.association import agreement, agreement_document, signed_notice
from tests.support.customs import customs_answers
from tests.support.declarations import (
    AGREEMENT,
    INVOICE,
    Declaration,
    Document,
    Line,
    enterprise,
    export,
    full,
    large,
    middle,
    small,
)
from tests.support.habits import HABITS
from tests.support.harness import LATER, NOW, Harness
from tests.support.keys import identity
from tests.support.later_documents import document_package
from tests.support.pdfs import pdf
from tests.support.rendering import files, package, packed, render, wrapped
from tests.support.validating import written
from tests.support.xml_signatures import Habit as Signing
from tests.support.xml_signatures import xades

RECORD: Final = Path(__file__).with_name("recorded_decisions.json")
BROKER: Final = "broker-aa"
Sample = tuple[str, str, str, bytes]  # a name, the account that sends, the name that it sends under, what

_SIGNATURE: Final = re.compile(rb"<ds:Signature .*?</ds:Signature>", re.DOTALL)
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
_SIZE: Final = re.compile(r'(size(?:=\\"|": ))\d+')
_NOTICE: Final = re.compile(r'("notice\\?",?\s+"?size(?:=\\"|": ))\d+')
_AGREEMENT: Final = "195200016172325"


def decisions() -> Iterator[tuple[str, str]]:
    """The name of each sample with all that was decided on it, as JSON."""
    with TemporaryDirectory() as folder, Harness.at(Path(folder) / "home") as harness:
        for name, account, file, body in (*_bad(), *_breaking_a_rule(), *_sound()):
            yield name, _plain(harness, _decided(harness, account, file, body))
        for name, decision in _story(harness):
            yield name, _plain(harness, decision, digests=False)
    with TemporaryDirectory() as folder, Harness.at(Path(folder) / "home") as harness:
        own = (identity("rsa-2048", BROKER).registered, identity("p-256", BROKER).registered)
        certificates = (*_stored_certificates(), *own)
        harness.change(BROKER, certificates=certificates, signature=SignaturePolicy.REQUIRED)
        for name, account, file, body in _signed():
            yield name, _plain(harness, _decided(harness, account, file, body), digests=False)


def recorded(decision: str) -> str:
    return hashlib.sha256(decision.encode()).hexdigest()[:16]


def _bad() -> Iterator[Sample]:
    for path in sorted(bad_messages.FOLDER.iterdir()):
        if path.suffix != ".md":
            yield f"bad/{path.stem}", BROKER, f"upload{path.suffix}", path.read_bytes()
    for path in sorted(hostile_zips.FOLDER.glob("*.zip")):
        yield f"zip/{path.stem}", BROKER, path.name, path.read_bytes()
    for name in ("depth-million", "siblings-million"):
        yield f"large/{name}", BROKER, "upload.xml", bad_messages.LARGE[name].make()


def _breaking_a_rule() -> Iterator[Sample]:
    for number, case in enumerate((*REQUIRED, *BROKEN)):
        root = everything(case.operation)
        case.change(root)
        body = package(written(root), {INVOICE_FILE: pdf(2)})
        yield f"rule/{number}-{case.rule}", BROKER, "declaration.zip", body


def _sound() -> Iterator[Sample]:
    invoice = Document(code=INVOICE, body=pdf(2, 5000))
    declarations = {
        "small": small(),
        "middle": middle(),
        "large": large(),
        "full": full(),
        "export": export(),
        "save": Declaration(operation="G"),
        "with-pdf": Declaration(documents=(invoice,)),
        "own": Declaration(agent=enterprise("trader-a"), trader=enterprise("trader-a")),
        "transit": Declaration(operation="D", head={"DeclTrnRel": "1", "IEPort": "2248"}),
        "unknown-agreement": Declaration(documents=(Document(code=AGREEMENT, number=_AGREEMENT),)),
        "broken-line-in-text": Declaration(lines=(Line(name="轴承\n一"),)),
        "blank-fields": Declaration(head={"ApprNo": " \u3000", "Risk": "\u00a0", "InRatio": " "}),
        "strange-free-text": Declaration(free={"VoyNo": "026E\u200b"}),
    }
    for name, declaration in declarations.items():
        for habit in HABITS:
            sample = f"sound/{name}-{habit.name}"
            account = "trader-a" if name == "own" else BROKER
            yield sample, account, f"{name}.zip", packed(declaration, habit)
    for name in ("small", "blank-fields", "with-pdf"):
        yield f"sound/{name}-bare", BROKER, f"{name}.xml", render(declarations[name], indent=True)
        yield f"sound/{name}-wrapped", BROKER, "a.xml", wrapped(render(declarations[name], indent=True))
    commented = render(small()).replace(b"<DecLists>", b"<!-- goods --><DecLists>")
    yield "sound/commented", BROKER, "a.xml", commented
    located = render(small()).replace(
        b"<DecMessage",
        b'<DecMessage xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"',
    )
    yield "sound/with-location", BROKER, "a.xml", located
    yield "sound/pdf-alone", BROKER, "alone.pdf", pdf(2, 5000)
    yield "sound/pdf-alone-broken", BROKER, "alone.pdf", b"%PDF-1.4 and no more"
    yield "sound/request", BROKER, "r.xml", request(BROKER, ListNo="B1", IEDate="20261123")
    yield "sound/request-of-stranger", "premises", "r.xml", request(BROKER, ListNo="B1", IEDate="20261123")
    yield "sound/stranger", "nobody", "a.xml", render(small())
    littered = package(render(small()), {"Thumbs.db": b"x", "__MACOSX/._a.xml": b"y"})
    yield "sound/with-litter", BROKER, "a.zip", littered


def _signed() -> Iterator[Sample]:
    for path in sorted(bad_signatures.FOLDER.glob("*.xml")):
        yield f"signature/{path.stem}", BROKER, "upload.xml", path.read_bytes()
    habits = {
        "plain": Signing(),
        "exclusive": Signing(c14n="exclusive", reference="exclusive"),
        "prefixes": Signing(reference="exclusive", prefixes="a b"),
        "no-prefix": Signing(prefix=""),
        "1.1": Signing(c14n="1.1", reference="1.1"),
        "with-comments": Signing(c14n="1.0 with comments"),
        "sha512": Signing(digest="sha512", signing="rsa-sha512"),
        "no-key-info": Signing(key_info="none"),
        "key-name": Signing(key_info="name"),
        "xades": xades(),
        "xades-exclusive": xades(c14n="exclusive"),
        "xades-no-time": xades(time="soon"),
        "layout-after": Signing(after="\n  "),
    }
    documents = {
        "small": render(small()),
        "indented": render(small(), indent=True),
        "blank": render(Declaration(head={"ApprNo": "\u3000"})),
        "commented": render(small()).replace(b"<DecLists>", b"<!-- goods --><DecLists>"),
        "ill": render(Declaration(head={"GrossWet": "x"})),
    }
    for name, document in documents.items():
        template = document.decode().partition("?>\n")[2]
        template = template.replace("</DecMessage>", "{signature}</DecMessage>")
        for signed_as, habit in habits.items():
            body = habit.sign(template, identity("rsa-2048", BROKER))
            yield f"signed/{name}-{signed_as}", BROKER, "a.xml", body
    declaration = replace(small(), documents=(Document(code=INVOICE, body=pdf(2, 5000)),))
    template = render(declaration).decode().partition("?>\n")[2]
    template = template.replace("</DecMessage>", "{signature}</DecMessage>")
    body = Signing(signing="ecdsa-sha256").sign(template, identity("p-256", BROKER))
    yield "signed/zip", BROKER, "a.zip", package(body, files(declaration))


def _story(harness: Harness) -> Iterator[tuple[str, Decision]]:
    """Messages that are judged by those before them, each committed."""
    invoice, name = pdf(2, 5000), "invoice.pdf"
    lists = (Document(name=name, body=invoice),)
    heavier = {"GrossWet": "109"}

    def sent(reference: str, file: str = "", **changes: Any) -> Decision:
        declaration = Declaration(reference=reference, **changes)
        return harness.judged(BROKER, file or f"{reference}.xml", render(declaration))

    first = sent("R-1")
    yield "story/accepted", first
    yield "story/repeated", sent("R-1", "again.xml")
    yield "story/other-content", sent("R-1", head=heavier)
    yield "story/same-goods", sent("R-2")
    yield "story/saved", sent("R-3", operation="G")
    yield "story/updated", sent("R-3", head=heavier)
    yield "story/refused", sent("R-4", head={"GrossWet": "x"})
    yield "story/corrected", sent("R-4", head={"GrossWet": "110"})
    yield "story/lists-a-missing-file", sent("R-5", documents=lists, head={"NetWt": "99"})
    yield "story/the-missing-file", harness.judged(BROKER, name, invoice)
    yield "story/joined", harness.judgement(harness.claimed(LATER), LATER)
    yield "story/file-of-its-own", harness.judged(BROKER, "own.pdf", invoice)
    yield "story/file-again", harness.judged(BROKER, "own.pdf", pdf(1, 5000))
    customs_answers(harness, first.message, "I20260000000000001", "020220261000000001", "L")
    for number, value in (("ClientSeqNo", "R-1"), ("EntryId", "020220261000000001"), ("SeqNo", "I2")):
        body = document_package(number, value, (INVOICE,))
        yield f"story/documents-by-{number}", harness.judged(BROKER, "later.zip", body)
    yield (
        "story/agreement-awaited",
        sent("R-6", documents=(agreement_document(_AGREEMENT),), head={"NetWt": "98"}),
    )
    notice = signed_notice(harness.home, agreement(_AGREEMENT))
    yield "story/agreement-confirmed", harness.judged(ASSOCIATION, "confirmed.xml", notice)
    yield "story/agreement-there", harness.judgement(harness.claimed(LATER), LATER)
    ended = signed_notice(harness.home, agreement(_AGREEMENT), Act.TERMINATED)
    yield "story/agreement-ended", harness.judged(ASSOCIATION, "ended.xml", ended)
    yield "story/notice-of-stranger", harness.judged(BROKER, "notice.xml", notice)
    yield "story/request", harness.judged(BROKER, "r.xml", request(BROKER, ListNo="B1", IEDate="20261123"))


def _decided(harness: Harness, account: str, name: str, body: bytes) -> Decision:
    """The decision on a message that is not stored."""
    arrival = Arrival(
        id=new_id(NOW, bytes(10)),
        account=account,
        channel="sftp",
        name=name,
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        received_at=NOW,
    )
    received = Received(arrival=arrival, attempts=1, link=ChainLink(sequence=1, digest="0" * 64))
    return judge(received, lambda: BytesIO(body), harness.rules, harness.register, harness.signer, NOW)


def _stored_certificates() -> list[RegisteredCertificate]:
    folder, names = bad_signatures.FOLDER, bad_signatures.REGISTERED
    return [RegisteredCertificate(pem=(folder / f"{name}.crt").read_text()) for name in names]


def _plain(harness: Harness, decision: Decision, *, digests: bool = True) -> str:
    """`digests`: the sample has the same bytes in each run, and so the same digests and sizes."""
    text = json.dumps(_value(replace(decision, trail={})), ensure_ascii=False, indent=1)
    for digest, name in ((harness.rules.families.digest, "rules"), (harness.rules.policy.digest, "policy")):
        text = text.replace(digest, name)
    for row in harness.rows(agreements):
        text = text.replace(row["sha256"], "notice")
    text = _NOTICE.sub(r"\g<1>0", text)
    return text if digests else _SIZE.sub(r"\g<1>0", _DIGEST.sub("digest", text))


# Fields that decisions have got since they were recorded; tests of their own cover them.
_BEFORE: Final = {"awaited": "thing"}  # fields that were called otherwise then
_NEWER: Final = {(Decision, "against"), (AgreementOutcome, "seen")}


def _value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        names = [each.name for each in fields(value) if (type(value), each.name) not in _NEWER]
        return {_BEFORE.get(name, name): _value(getattr(value, name)) for name in names}
    if isinstance(value, bytes):
        return _SIGNATURE.sub(b"", value).decode()
    if isinstance(value, frozenset):
        return sorted(map(_value, value))
    if isinstance(value, tuple | list):
        return [_value(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _value(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def write() -> None:
    digests = {name: recorded(decision) for name, decision in decisions()}
    RECORD.write_text(json.dumps(digests, indent=0) + "\n", "utf-8")


if __name__ == "__main__":
    write()
