"""PDFs that are sent on their own, and the bare document that lists them (docs/for-brokers.md, "PDFs on their
own").

A PDF waits for the document that lists its name, and such a document waits for its PDFs, in whichever order
they come. They are matched by name only (`file_names`), among the messages of one party.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Final

from gateway.families.families import Families
from gateway.formats.characters import first_strange
from gateway.formats.submission import is_safe
from gateway.judge.authorise import refuse_other_roles
from gateway.judge.validate import RecognisedDocument
from gateway.model.decision import MustWait, Wait
from gateway.model.faults import Fault, Finding, MessageRejected, finding, in_bytes, too_large
from gateway.model.file_names import FileNames, listed_as
from gateway.model.message import (
    ATTACHMENT,
    Facts,
    Key,
    Operation,
    Package,
    Part,
    Pdf,
    Received,
    SeparateAttachment,
)
from gateway.model.parties import Party
from gateway.model.policy import Policy
from gateway.model.register import Register
from gateway.model.waits import Awaited, waits_for

FAMILY: Final = "gateway"
LISTED: Final = "files"  # the list of a profile that names the files belonging to a document


def attachment_facts(part: Part, party: Party) -> Facts:
    """The facts of a PDF on its own: its reference is its name, its values are the facts found in it."""
    key = Key(party=party.code, family=FAMILY, type=ATTACHMENT, reference=part.name)
    content = hashlib.sha256(f"{part.name}\0{part.sha256}\n".encode()).hexdigest()
    return Facts(
        key=key,
        content=content,
        body=part.sha256,
        operation=Operation.INFORM,
        values={name: str(value) for name, value in asdict(part.pdf or Pdf()).items()},
    )


def judge_attachment(
    received: Received, part: Part, party: Party, register: Register, families: Families, policy: Policy
) -> SeparateAttachment | None:
    """Checks whether a PDF on its own may wait; returns the waiting one of its name that it replaces, if any.

    Raises `MessageRejected` where its sender may send no document that could list it, with every fault for
    which a declaration listing it would be refused, or where a later PDF of its name waits already.
    """
    refuse_other_roles(families.senders_listing(LISTED), party)
    if unfit := (*_strange_name(part), *_unfit(part, part.pdf or Pdf(), policy)):
        raise MessageRejected(unfit)
    alike = register.separate_attachments(party.code, part.name)
    other = next((each for each in alike if each.part.name == part.name), None)
    if other is not None and other.message.arrival.id > received.arrival.id:
        raise MessageRejected(replaced(part.name, other.message))
    return other


def replaced(name: str, by: Received) -> Finding:
    return finding(Fault.DOCUMENT_REPLACED, detail=by.arrival.id, file=name)


def brings(part: Part, party: Party) -> tuple[Awaited, ...]:
    """The things that documents may wait for and that this PDF provides."""
    return tuple(Awaited.document(party.code, name) for name in listed_as(part.name))


def await_declaration(received: Received, part: Part, party: Party, policy: Policy) -> MustWait:
    """The wait of a PDF on its own for the document that lists it."""
    until = received.arrival.received_at + timedelta(hours=policy.pdf.wait_hours)
    awaited = Awaited.declaration(party.code, part.name)
    return MustWait(Wait(awaited=awaited, seen=0, until=until), waits_for(awaited, until, file=part.name))


def join_attachments(
    recognised: RecognisedDocument,
    package: Package,
    received: Received,
    party: Party,
    register: Register,
    policy: Policy,
    limit: int,
) -> Package:
    """A bare document together with the listed PDFs that wait for it or joined it before, and the names of
    the missing ones.

    If it lists more files than a package may hold, none is looked up. Raises `MessageRejected` where all
    together are larger than `limit`, the account's limit in bytes.
    """
    names = () if package.is_zip else recognised.type.listed(LISTED, recognised.root)
    if not names or len(names) >= policy.package.entries:
        return package
    joined = register.joined(received.arrival.id)
    by_name = {
        name: _matching(name, register.separate_attachments(party.code, name), joined) for name in names
    }
    separate_attachments = {each.message.arrival.id: each for those in by_name.values() for each in those}
    size = package.parts[0].size + sum(each.part.size for each in separate_attachments.values())
    if size > limit:
        raise MessageRejected(too_large(Fault.PACKAGE_TOO_LARGE, size, limit))
    missing = tuple(name for name, those in by_name.items() if not those)
    return replace(package, separate_attachments=tuple(separate_attachments.values()), missing=missing)


def await_documents(received: Received, package: Package, party: Party, policy: Policy) -> None:
    """Raises `MustWait` where files that the document lists are missing: it waits for the first, and its
    sender is notified of all."""
    if not package.missing:
        return
    until = received.arrival.received_at + timedelta(hours=policy.pdf.wait_hours)
    missing = [Awaited.document(party.code, name) for name in package.missing]
    wait = Wait(awaited=missing[0], seen=0, until=until)
    raise MustWait(wait, *(waits_for(awaited, until, file=awaited.names[1]) for awaited in missing))


def _matching(
    listed: str, waiting: Sequence[SeparateAttachment], joined: Sequence[SeparateAttachment]
) -> list[SeparateAttachment]:
    """The PDFs that a listed name means, by the rule for the parts of a package; several where the name is
    ambiguous, which the rules refuse. A PDF that joined before takes precedence over a waiting one that is
    only spelt alike."""
    there = {each.part.name: each for each in reversed(waiting)}  # the newest of a name
    before = {each.part.name: each for each in joined}
    if not FileNames(there).exactly(listed) and FileNames(before).named(listed):
        there = before
    return [there[name] for name in FileNames(there).named(listed)]


def _strange_name(part: Part) -> Iterator[Finding]:
    """Faults in the name: it is the reference, and is compared as it is written."""
    if character := first_strange(part.name):
        yield finding(
            Fault.TEXT_CHARACTERS,
            detail=f"file name: {character}",
            detail_zh=f"文件名：{character}",
            value=part.name,
            file=part.name,
        )


def _unfit(part: Part, pdf: Pdf, policy: Policy) -> Iterator[Finding]:
    """Faults by the rules on attached files, and names that customs could not unpack."""
    bounds, size = policy.pdf, part.size
    checks = (
        (
            bool(pdf.problem),
            f"不是可读取的 PDF（{pdf.problem_zh}），请用 PDF 软件重新生成",
            f"it is not readable: {pdf.problem}",
        ),
        (pdf.encrypted, "已加密，请去掉密码", "it is encrypted"),
        (
            0 < pdf.version < bounds.version,
            f"版本 {pdf.version / 10} 过低，请另存为 PDF {bounds.version / 10} 或以上",
            f"its version is too old: {pdf.version / 10}; it must be {bounds.version / 10} at least",
        ),
        (
            size > bounds.size,
            f"大小 {in_bytes(size)}，超过 {in_bytes(bounds.size)}，请压缩或拆分",
            f"it is larger than allowed: {size} > {bounds.size}",
        ),
        (
            0 < pdf.pages * bounds.page_size < size,
            f"平均每页超过 {in_bytes(bounds.page_size)}，请降低扫描分辨率",
            f"it is larger per page than allowed: {size} bytes on {pdf.pages} pages; "
            f"at most {bounds.page_size} bytes a page",
        ),
        (
            len(part.name) > bounds.name,
            f"文件名超过 {bounds.name} 个字符，请改短（EdocID 同改）",
            f"its name is too long: {len(part.name)} characters; at most {bounds.name}",
        ),
        (
            bool(pdf.active) and bounds.active_content == "refuse",
            f"含有活动内容或附件（{pdf.active}），请另存为不含脚本、启动动作和嵌入文件的 PDF",
            f"it holds what a viewer runs or unpacks: {pdf.active}",
        ),
        (
            not is_safe(part.name) and not first_strange(part.name),
            "文件名含有不允许的字符，请改名（EdocID 同改）",
            "its name has characters that are not allowed",
        ),
    )
    for wrong, zh, en in checks:
        if wrong:
            yield finding(Fault.PDF_UNFIT, detail=en, detail_zh=f"{zh}。", file=part.name)
