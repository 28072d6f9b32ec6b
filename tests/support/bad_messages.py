"""Documents and packages with one defect each, and everything that their sender, `broker-aa`, must be told.

Run as a script it writes `tests/messages/documents/` anew, with its README. Packages that no zip writer
makes stand in `tests/support/hostile_zips.py`, signed documents in `tests/support/bad_signatures.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from gateway.model.faults import Fault
from tests.support.declarations import INVOICE, Declaration, Document, Line
from tests.support.pdfs import pdf
from tests.support.rendering import files, package, render, wrapped

FOLDER: Final = Path(__file__).parents[1] / "messages" / "documents"
BARE: Final = "upload.xml"  # what a bare document is sent as
INSIDE: Final = "declaration.xml"  # what it is called in a zip
PDF: Final = "020200000001IM202611022967193001.pdf"

_HEAD: Final = "/DecMessage/DecHead"
_LINE: Final = "/DecMessage/DecLists/DecList"
_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@dataclass(frozen=True, slots=True)
class ExpectedFault:
    """One error of a refusal. `value` is the one that is shown; `rule` the number of a business rule."""

    fault: Fault
    file: str | None = BARE
    line: int | None = None
    xpath: str | None = None
    value: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    defect: str
    make: Callable[[], bytes]
    faults: tuple[ExpectedFault, ...]

    @property
    def suffix(self) -> str:
        return "zip" if self.make().startswith(b"PK") else "xml"


def base(declaration: Declaration | None = None) -> str:
    return render(declaration or Declaration(), indent=True).decode()


def changed(*changes: tuple[str, str], encoding: str = "utf-8") -> bytes:
    """The sound document with each text, which must stand in it, replaced where it first occurs."""
    text = base()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode(encoding)


def _declared(declaration: str, *, encoding: str = "utf-8") -> bytes:
    return changed(("<?xml version='1.0' encoding='UTF-8'?>", declaration), encoding=encoding)


def _alone() -> bytes:
    """The sound document without its XML declaration."""
    return changed().partition(b"?>")[2]


def _first(markup: str) -> bytes:
    return changed(("  <DecHead>\n", f"  {markup}\n  <DecHead>\n"))


def _in_head(attribute: str, number: int) -> bytes:
    """DecHead with so many attributes, each with its number in place of `{}`."""
    attributes = " ".join(attribute.replace("{}", str(index)) for index in range(number))
    return changed(("<DecHead>", f"<DecHead {attributes}>"))


def _laughs() -> str:
    ten = (f"&l{number};" * 10 for number in range(9))
    entities = (f'<!ENTITY l{number} "{text}">' for number, text in enumerate(("lol", *ten)))
    return f"\n<!DOCTYPE DecMessage [{''.join(entities)}]>"


def _with_dtd(dtd: str, name: str = "TEST00000000000001") -> bytes:
    return changed(("encoding='UTF-8'?>", f"encoding='UTF-8'?>{dtd}"), ("TEST00000000000001", name))


def _lines(*lines: Line) -> bytes:
    return base(Declaration(lines=lines)).encode()


def _zip(body: bytes, change: Callable[[dict[str, bytes]], object] = lambda attached: None) -> bytes:
    declaration = Declaration(documents=(Document(code=INVOICE, body=body),))
    attached = files(declaration)
    change(attached)
    return package(render(declaration, indent=True), attached, INSIDE)


def _of_file(rule: str) -> tuple[ExpectedFault, ...]:
    return (ExpectedFault(Fault.PDF_UNFIT, PDF, rule=rule),)


CASES: Final[dict[str, Case]] = {
    # what is no XML, or none that is read
    "not-xml": Case(
        "an EDIFACT interchange",
        lambda: b"UNA:+.? '\r\nUNB+UNOA:2'",
        (ExpectedFault(Fault.PACKAGE_UNREADABLE, None),),
    ),
    "not-closed": Case(
        "an element without its end",
        lambda: changed(("</NetWt>", "")),
        (ExpectedFault(Fault.XML_MALFORMED, line=48),),
    ),
    "two-roots": Case(
        "a second document after the first",
        lambda: base().encode() + b"<a/>",
        (ExpectedFault(Fault.XML_MALFORMED, line=82),),
    ),
    "entity-unknown": Case(
        "an entity that is not defined",
        lambda: changed(("DEMO STAR", "DEMO &copy; STAR")),
        (ExpectedFault(Fault.XML_MALFORMED, line=29),),
    ),
    "namespace-relative": Case(
        "a namespace that is no absolute URI",
        lambda: _first('<q:a xmlns:q="a/b"/>'),
        (ExpectedFault(Fault.XML_MALFORMED),),
    ),
    "namespaces-many": Case(
        "33 namespace prefixes",
        lambda: _in_head('xmlns:p{}="urn:p{}"', 33),
        (ExpectedFault(Fault.XML_NAMESPACES),),
    ),
    "attributes-many": Case(
        "65 attributes on one element",
        lambda: _in_head('a{}="1"', 65),
        (ExpectedFault(Fault.XML_ATTRIBUTES, line=3),),
    ),
    "depth-65": Case(
        "65 nested elements",
        lambda: _first("<a>" * 64 + "</a>" * 64),
        (ExpectedFault(Fault.XML_DEPTH, line=3),),
    ),
    "instruction": Case(
        "a processing instruction inside the document",
        lambda: _first('<?php echo "1"?>'),
        (ExpectedFault(Fault.XML_INSTRUCTION, line=2),),
    ),
    "comment-in-text": Case(
        "a comment inside a number",
        lambda: changed(("<NetWt>100<", "<NetWt>10<!-- -->0<")),
        (ExpectedFault(Fault.XML_COMMENT, line=21, xpath=f"{_HEAD}/NetWt"),),
    ),
    # wrappers
    "wrapper-compressed": Case(
        "a wrapper that says that its content is compressed",
        lambda: wrapped(changed(), "<Compress>1</Compress>"),
        (
            ExpectedFault(
                Fault.WRAPPER_COMPRESSED,
                line=2,
                xpath="/ImportMessage/SWImpHead/Compress",
                value="1",
            ),
        ),
    ),
    "wrapper-of-two": Case(
        "two declarations in one wrapper",
        lambda: wrapped(changed() + _alone()),
        (ExpectedFault(Fault.WRAPPER_CONTENT, line=2, xpath="/ImportMessage/SWImpData"),),
    ),
    "wrapper-in-wrapper": Case(
        "a declaration in a wrapper in a wrapper",
        lambda: wrapped(wrapped(changed()), root="ImportMessage"),
        (ExpectedFault(Fault.WRAPPER_CONTENT, line=2, xpath="/ImportMessage/SWImpData/ImportMessage"),),
    ),
    # encodings
    "version-1.1": Case(
        "declared as XML 1.1",
        lambda: _declared("<?xml version='1.1' encoding='UTF-8'?>"),
        (ExpectedFault(Fault.XML_DECLARATION, line=1),),
    ),
    "declaration-not-well-formed": Case(
        "a declaration that one reader takes for GBK and the next for UTF-8",
        lambda: _declared("<?xml version='1.0' x='1' encoding='GBK'?>"),
        (ExpectedFault(Fault.XML_DECLARATION, line=1),),
    ),
    "bom-twice": Case(
        "two byte order marks",
        lambda: b"\xef\xbb\xbf" * 2 + base().encode(),
        (ExpectedFault(Fault.XML_ENCODING),),
    ),
    "latin-1": Case(
        "declared as ISO-8859-1",
        lambda: _declared("<?xml version='1.0' encoding='ISO-8859-1'?>"),
        (ExpectedFault(Fault.XML_ENCODING),),
    ),
    "utf-16": Case(
        "UTF-16 with a byte order mark",
        lambda: _declared("<?xml version='1.0' encoding='UTF-16'?>", encoding="utf-16"),
        (ExpectedFault(Fault.XML_ENCODING),),
    ),
    "utf-7": Case(
        "declared as UTF-7",
        lambda: _declared("<?xml version='1.0' encoding='UTF-7'?>"),
        (ExpectedFault(Fault.XML_ENCODING),),
    ),
    "gbk-undeclared": Case(
        "GBK, but declared as UTF-8",
        lambda: changed(encoding="gbk"),
        (ExpectedFault(Fault.XML_ENCODING, line=5),),
    ),
    "utf-8-declared-as-gbk": Case(
        "UTF-8, but declared as GBK",
        lambda: _declared("<?xml version='1.0' encoding='GBK'?>"),
        (ExpectedFault(Fault.XML_ENCODING, line=5),),
    ),
    "bom-before-gbk": Case(
        "a UTF-8 byte order mark before what is declared as GBK",
        lambda: b"\xef\xbb\xbf" + _declared("<?xml version='1.0' encoding='GBK'?>", encoding="gbk"),
        (ExpectedFault(Fault.XML_ENCODING),),
    ),
    # what reaches outside or unfolds
    "dtd": Case(
        "a DOCTYPE", lambda: _with_dtd("\n<!DOCTYPE DecMessage>"), (ExpectedFault(Fault.XML_DTD, line=2),)
    ),
    "dtd-external": Case(
        "a DOCTYPE that names a file",
        lambda: _with_dtd('\n<!DOCTYPE DecMessage SYSTEM "file:///etc/hostname">'),
        (ExpectedFault(Fault.XML_DTD, line=2),),
    ),
    "entity-billion-laughs": Case(
        "entities that unfold to 3 GB",
        lambda: _with_dtd(_laughs(), "&l9;"),
        (ExpectedFault(Fault.XML_DTD, line=2),),
    ),
    "entity-external": Case(
        "an entity that names a file",
        lambda: _with_dtd('\n<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>', "&x;"),
        (ExpectedFault(Fault.XML_DTD, line=2),),
    ),
    "entity-parameter": Case(
        "a parameter entity that names a server",
        lambda: _with_dtd('\n<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>'),
        (ExpectedFault(Fault.XML_DTD, line=2),),
    ),
    "xinclude": Case(
        "XInclude of a file",
        lambda: _first('<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/hostname"/>'),
        (ExpectedFault(Fault.XML_XINCLUDE, line=3),),
    ),
    # families
    "family-unknown": Case(
        "a root element that no family has",
        lambda: b'<?xml version="1.0"?>\n<Order xmlns="urn:orders"/>',
        (ExpectedFault(Fault.FAMILY_UNKNOWN, line=2),),
    ),
    "family-without-namespace": Case(
        "DecMessage without its namespace",
        lambda: changed((' xmlns="http://www.chinaport.gov.cn/dec"', "")),
        (ExpectedFault(Fault.FAMILY_UNKNOWN, line=2),),
    ),
    "answer-technical": Case(
        "an answer that only customs gives, a DecImportResponse",
        lambda: (
            b'<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec">'
            b"<ResponseCode>0</ResponseCode><ClientSeqNo>TEST00000000000001</ClientSeqNo>"
            b"<SeqNo>I20260000000000001</SeqNo></DecImportResponse>"
        ),
        (ExpectedFault(Fault.FAMILY_UNKNOWN, line=1),),
    ),
    "answer-release": Case(
        "an answer that only customs gives, a release",
        lambda: b"<DEC_RESULT><CUS_CIQ_NO>I20260000000000001</CUS_CIQ_NO><CHANNEL>P</CHANNEL></DEC_RESULT>",
        (ExpectedFault(Fault.FAMILY_UNKNOWN, line=1),),
    ),
    # the schema
    "schema-many": Case(
        "an unknown element, a number that is none, a text that is too long, an attribute",
        lambda: changed(
            ("<EdiId>", "<EdiNo>1</EdiNo>\n    <EdiId>"),
            ("<GrossWet>108<", "<GrossWet>108 kg<"),
            ("<AgentCode>1207980011<", "<AgentCode>1207980011-1207980011<"),
            ("<DecList>", '<DecList id="1">'),
            ("<GQty>1000<", "<GQty>one thousand<"),
        ),
        (
            ExpectedFault(
                Fault.SCHEMA_VALUE, line=4, xpath=f"{_HEAD}/AgentCode", value="1207980011-1207980011"
            ),
            ExpectedFault(Fault.SCHEMA_VALUE, line=17, xpath=f"{_HEAD}/GrossWet", value="108 kg"),
            ExpectedFault(Fault.SCHEMA_ELEMENT, line=14, xpath=f"{_HEAD}/EdiNo"),
            ExpectedFault(Fault.SCHEMA_ATTRIBUTE, line=51, xpath=_LINE, value="1"),
            ExpectedFault(Fault.SCHEMA_VALUE, line=62, xpath=f"{_LINE}/GQty", value="one thousand"),
        ),
    ),
    "schema-type-replaced": Case(
        "xsi:type that names a type there is not",
        lambda: changed(("<AgentCode>", f'<AgentCode {_XSI} xsi:type="q:any">')),
        (ExpectedFault(Fault.SCHEMA_VALUE, line=4, xpath=f"{_HEAD}/AgentCode"),),
    ),
    "schema-attribute-of-xml": Case(
        "an attribute of XML's own namespace",
        lambda: changed(("<AgentName>", '<AgentName xml:lang="zh">')),
        (ExpectedFault(Fault.SCHEMA_ATTRIBUTE, line=5, xpath=f"{_HEAD}/AgentName", value="zh"),),
    ),
    "schema-object-of-signature": Case(
        "a ds:Object beside the blocks, with a second head in it",
        lambda: _first('<o:Object xmlns:o="http://www.w3.org/2000/09/xmldsig#"><DecHead/></o:Object>'),
        (ExpectedFault(Fault.SCHEMA_ELEMENT, line=3, xpath="/DecMessage/Object"),),
    ),
    "schema-reference-huge": Case(
        "a reference of 5,000 characters",
        lambda: changed(("TEST00000000000001", "9" * 5000)),
        (
            ExpectedFault(
                Fault.SCHEMA_VALUE, line=76, xpath="/DecMessage/DecSign/ClientSeqNo", value="9" * 79 + "…"
            ),
        ),
    ),
    "schema-block-missing": Case(
        "no DecSign",
        lambda: (base().partition("  <DecSign>")[0] + "</DecMessage>\n").encode(),
        (ExpectedFault(Fault.SCHEMA_MISSING, line=2, xpath="/DecMessage", rule="DEC-003"),),
    ),
    "schema-nil-over-content": Case(
        "xsi:nil on an element that is filled",
        lambda: changed(("<NetWt>", f'<NetWt {_XSI} xsi:nil="true">')),
        (ExpectedFault(Fault.SCHEMA_ATTRIBUTE, line=21, xpath=f"{_HEAD}/NetWt", value="true"),),
    ),
    "schema-number-with-blanks": Case(
        "a number with a blank between its digits",
        lambda: changed(("<DeclTotal>1250<", "<DeclTotal>1 250<")),
        (ExpectedFault(Fault.SCHEMA_VALUE, line=53, xpath=f"{_LINE}/DeclTotal", value="1 ***"),),
    ),
    # characters
    "reference-with-zero-width-space": Case(
        "a reference that reads like another",
        lambda: changed(("<ClientSeqNo>TEST", "<ClientSeqNo>TE\u200bST")),
        (
            ExpectedFault(
                Fault.TEXT_CHARACTERS,
                line=76,
                xpath="/DecMessage/DecSign/ClientSeqNo",
                value="TE\\u{200b}ST00000000000001",
            ),
        ),
    ),
    # business rules
    "rules-many": Case(
        "net over gross weight, a total that is none, a gap in the line numbers, a currency there is not",
        lambda: changed(
            ("<NetWt>100<", "<NetWt>109<"),
            ("<DeclTotal>1250<", "<DeclTotal>12500<"),
            ("<GNo>1<", "<GNo>2<"),
            ("<TradeCurr>502<", "<TradeCurr>ABC<"),
        ),
        (
            ExpectedFault(Fault.RULE, line=60, xpath=f"{_LINE}/GNo", value="2", rule="DEC-008"),
            ExpectedFault(Fault.RULE, line=63, xpath=f"{_LINE}/TradeCurr", value="ABC", rule="DEC-413"),
            ExpectedFault(Fault.RULE, line=21, xpath=f"{_HEAD}/NetWt", value="109", rule="DEC-501"),
            ExpectedFault(Fault.RULE, line=53, xpath=f"{_LINE}/DeclTotal", value="1****", rule="DEC-502"),
        ),
    ),
    "rules-required": Case(
        "what is required at declaration is left empty",
        lambda: changed(("<DistinatePort>JPN000<", "<DistinatePort>\n <")),
        (ExpectedFault(Fault.RULE, line=3, xpath=_HEAD, rule="DEC-113"),),
    ),
    "rules-51-lines": Case(
        "51 lines",
        lambda: _lines(*(Line(weight=Decimal(1)) for _ in range(51))),
        (ExpectedFault(Fault.RULE, line=49, xpath="/DecMessage/DecLists", rule="DEC-006"),),
    ),
    # who and where
    "wrong-party": Case(
        "the declaration of another broker",
        lambda: changed(
            ("<AgentCode>1207980011<", "<AgentCode>3122280022<"),
            ("<AgentCodeScc>91120116MADEM00A52<", "<AgentCodeScc>91310115MADEM00B3P<"),
        ),
        (
            ExpectedFault(Fault.WRONG_PARTY, line=4, xpath=f"{_HEAD}/AgentCode", value="3122280022"),
            ExpectedFault(
                Fault.WRONG_PARTY, line=36, xpath=f"{_HEAD}/AgentCodeScc", value="91310115MADEM00B3P"
            ),
        ),
    ),
    "no-route": Case(
        "a customs office that no route covers",
        lambda: changed(("<CustomMaster>0202<", "<CustomMaster>0000<"), ("<EntryType>M<", "<EntryType>0<")),
        (ExpectedFault(Fault.NO_ROUTE, None),),
    ),
    # attached files
    "pdf-missing": Case(
        "a PDF that is listed is not there",
        lambda: _zip(pdf(), lambda attached: attached.clear()),
        (
            ExpectedFault(
                Fault.DOCUMENT_MISSING,
                INSIDE,
                83,
                "/DecMessage/EdocRealation/EdocID",
                PDF,
                "DEC-605",
            ),
        ),
    ),
    "pdf-unlisted": Case(
        "a PDF that is not listed",
        lambda: _zip(pdf(), lambda attached: attached.update({"other.pdf": pdf()})),
        (ExpectedFault(Fault.DOCUMENT_UNLISTED, "other.pdf", rule="DEC-606"),),
    ),
    "pdf-broken": Case("a PDF cut off in its middle", lambda: _zip(pdf(3)[:700]), _of_file("DEC-611")),
    "pdf-not-pdf": Case("an HTML page called .pdf", lambda: _zip(b"<html></html>"), _of_file("DEC-611")),
    "pdf-encrypted": Case("an encrypted PDF", lambda: _zip(pdf(encrypted=True)), _of_file("DEC-612")),
    "pdf-old": Case("a PDF of version 1.3", lambda: _zip(pdf(version="1.3")), _of_file("DEC-613")),
}

# Made in the test only, for their size.
LARGE: Final[dict[str, Case]] = {
    "depth-million": Case(
        "a million nested elements",
        lambda: b"<a>" * 1_000_000 + b"</a>" * 1_000_000,
        (ExpectedFault(Fault.XML_DEPTH, line=1),),
    ),
    "siblings-million": Case(
        "a million elements that may stand there once",
        lambda: changed(("  <DecHead>\n", "<DecSign/>" * 1_000_000 + "  <DecHead>\n")),
        (ExpectedFault(Fault.XML_ELEMENTS),),
    ),
    "element-12-mb": Case(
        "12 MB of one element",
        lambda: changed(("DEMO STAR", "A" * 12_000_000)),
        (ExpectedFault(Fault.XML_MALFORMED, line=29),),
    ),
    "element-300-mb": Case(
        "300 MB of one element",
        lambda: b"<a>" + b"A" * 300_000_000 + b"</a>",
        (ExpectedFault(Fault.DOCUMENT_TOO_LARGE),),
    ),
    "element-300-mb-packed": Case(
        "300 MB of one element, packed",
        lambda: package(b"<a>" + b"A" * 300_000_000 + b"</a>", {}, INSIDE),
        (ExpectedFault(Fault.ZIP_RATIO, INSIDE),),
    ),
}


def write() -> None:
    rows = []
    for name, case in CASES.items():
        (FOLDER / f"{name}.{case.suffix}").write_bytes(case.make())
        codes = ", ".join(
            dict.fromkeys(
                f"`{expected_fault.rule or expected_fault.fault.code}`" for expected_fault in case.faults
            )
        )
        rows.append(f"| `{name}.{case.suffix}` | {case.defect} | {codes} |\n")
    head = (
        "# Bad documents and packages\n\nMade by `python -m tests.support.bad_messages`.\n\n"
        "| file | defect | what the sender is told |\n|---|---|---|\n"
    )
    (FOLDER / "README.md").write_text(head + "".join(rows), "utf-8")


if __name__ == "__main__":
    write()
