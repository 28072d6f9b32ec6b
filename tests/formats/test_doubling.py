"""Input of twice the length takes no more than about twice the time, for all that stands between the wire and
the verdict: what would take the square of it holds a worker, or the whole node."""

import io
from collections.abc import Callable
from typing import Final

import pytest

from gateway.formats import dxp, pdf, xml
from gateway.formats.archive import ArchiveLimits, open_archive
from gateway.formats.canonical import C14N_1_0
from gateway.formats.submission import inner_name
from gateway.model.answer import Answer
from gateway.respond import answer
from tests.judge.rule_cases import everything
from tests.support.doubling import filled as _filled
from tests.support.doubling import grows_with_its_input
from tests.support.keys import identity
from tests.support.validating import families, findings, written
from tests.support.xml_signatures import Habit, verified
from tests.support.zip_bytes import DOCUMENT, Item, archive

_SIGNER: Final = identity("rsa-2048")
_LIMITS: Final = ArchiveLimits(entries=65_535, ratio=1 << 40, size=1 << 40)


def _in_root(start: str, piece: str, end: str) -> Callable[[int], bytes]:
    return lambda size: b"<r>" + start.encode() + _filled(piece, size) + end.encode() + b"</r>"


def _signed(before: str, piece: str) -> Callable[[int], bytes]:
    text = Habit().sign('<m xmlns="urn:m"><head>good</head>{signature}</m>', _SIGNER)
    return lambda size: text.replace(before.encode(), _filled(piece, size) + before.encode(), 1)


def _declared(before: str, piece: str) -> Callable[[int], bytes]:
    text = written(everything())
    return lambda size: text.replace(before.encode(), _filled(piece, size) + before.encode(), 1)


def _parsed_and_canonical(data: bytes) -> None:
    C14N_1_0.of_document(xml.parse(data))


def _unpacked(data: bytes) -> None:
    package = open_archive(io.BytesIO(data), _LIMITS)
    for entry in package.entries:
        for _chunk in package.open(entry):
            pass


_DECLARATIONS: Final = " ".join(f'xmlns:p{number}="urn:p"' for number in range(31))
_DEC: Final = "DEC_RESULT"

_CASES: Final[dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]]] = {
    **{
        f"xml: {name}": (_parsed_and_canonical, made)
        for name, made in {
            "xmlns: without white space in a comment": _in_root("<!--", "xmlns:", "-->"),
            "xmlns: without white space in a text": _in_root("", "xmlns:", ""),
            "xmlns with white space after it": _in_root("", "xmlns ", ""),
            "xmlns in an attribute": _in_root("<a b='", "xmlns:a=", "'/>"),
            "the same prefixes again and again": _in_root("", f"<a {_DECLARATIONS}/>", ""),
            "one namespace after the other": _in_root("", "<a xmlns='urn:a'/><a xmlns='urn:b'/>", ""),
            "instructions": _in_root("", "<?a b?>", ""),
            "white space in the declaration": lambda size: b"<?xml" + b" " * size + b"?><r/>",
            "white space before the encoding": lambda s: b'<?xml version="1.0"' + b" " * s + b"?><r/>",
            "sections": _in_root("", "<![CDATA[a]]>", ""),
            "references": _in_root("", "&#x4e2d;", ""),
            "references to nothing": _in_root("", "&a;", ""),
            "line ends": _in_root("", "\n", ""),
            "elements": _in_root("", "<a/>", ""),
            "elements without an end": _in_root("", "<a>", ""),
            "attributes": lambda size: (
                "<r " + " ".join(f"a{number}=''" for number in range(size // 8)) + "/>"
            ).encode(),
            "entities": lambda size: b"<!DOCTYPE r [" + _filled("<!ENTITY a 'a'>", size) + b"]><r/>",
        }.items()
    },
    **{
        f"pdf: {name}": (pdf.inspect, made)
        for name, made in {
            "xmlns: after its end": lambda s: b"%PDF-1.4\n%%EOF\n<DataInfo>" + _filled("xmlns:", s),
            "ends": lambda size: b"%PDF-1.4\n" + _filled("%%EOF\n", size),
            "byte ranges": lambda size: b"%PDF-1.4\n" + _filled("/ByteRange ", size) + b"%%EOF\n",
            "objects": lambda size: b"%PDF-1.4\n" + _filled("1 0 obj\n", size) + b"%%EOF\n",
            "arrays": lambda size: b"%PDF-1.4\n1 0 obj\n" + _filled("[", size) + b"\n%%EOF\n",
            "dictionaries": lambda s: b"%PDF-1.4\ntrailer\n" + _filled("<</a ", s) + b"\n%%EOF\n",
            "strings": lambda size: b"%PDF-1.4\ntrailer\n" + _filled("(", size) + b"\n%%EOF\n",
            "where the table is": lambda s: b"%PDF-1.4\n" + _filled("startxref\n1\n", s) + b"%%EOF\n",
        }.items()
    },
    **{
        f"zip: {name}": (_unpacked, made)
        for name, made in {
            "ends": lambda size: _filled(b"PK\x05\x06", size),
            "ends in a comment": lambda s: (
                archive([Item(name=b"a.xml", data=DOCUMENT)]) + _filled(b"PK\x05\x06", s)
            ),
            "entries": lambda size: archive(
                [Item(name=b"%d.pdf" % number, data=b"") for number in range(size // 100)]
            ),
            "names": lambda s: archive([Item(name=b"a" * min(s, 65_000), data=DOCUMENT)]),
            "zeros": lambda size: archive([Item(name=b"a.xml", data=bytes(16 * size))]),
        }.items()
    },
    **{
        f"declaration: {name}": (findings, made)
        for name, made in {
            "text in a number": _declared("</GrossWet>", "1"),
            "white space in a number": _declared("</GrossWet>", " "),
            "unknown elements": _declared("<DecHead>", "<a/>"),
            "documents": _declared("<EdocRealation>", "<EdocRealation><EdocID>X</EdocID></EdocRealation>"),
            "a long reference": _declared("</ClientSeqNo>", "0"),
        }.items()
    },
    **{
        f"signature: {name}": (lambda data: verified(data, _SIGNER.registered), made)
        for name, made in {
            "white space in its value": _signed("</ds:SignatureValue>", " "),
            "its value": _signed("</ds:SignatureValue>", "AAAA"),
            "certificates": _signed("</ds:X509Data>", "<ds:X509Certificate>A</ds:X509Certificate>"),
            "transforms": _signed("</ds:Transforms>", "<ds:Transform Algorithm='a'/>"),
            "signatures": _signed("</m>", "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>"),
        }.items()
    },
    **{
        f"answer: {name}": (lambda data: answer.read(data, families()), made)
        for name, made in {
            "xmlns: in a comment": lambda s: b"<DEC_RESULT><!--" + _filled("xmlns:", s) + b"--></DEC_RESULT>",
            "its text": lambda s: (
                b"<DEC_DATA><DEC_RESULT><NOTE>" + b"a" * s + b"</NOTE></DEC_RESULT></DEC_DATA>"
            ),
            "its time": lambda s: (
                b"<DEC_DATA><DEC_RESULT><NOTICE_DATE>" + b"1" * s + b"</NOTICE_DATE></DEC_RESULT></DEC_DATA>"
            ),
            "results": lambda s: b"<DEC_DATA>" + _filled("<DEC_RESULT/>", s) + b"</DEC_DATA>",
        }.items()
    },
    **{
        f"envelope: {name}": (
            lambda data: dxp.unwrapped(Answer(id="1", name="a", body=data)),
            made,
        )
        for name, made in {
            "names": lambda s: b"<DxpMsg>" + _filled("<a:Data", s),
            "white space after its name": lambda s: b"<DxpMsg>" + _filled("<Data ", s),
            "white space in its data": lambda s: b"<DxpMsg><Data>" + b" " * s + b"</Data></DxpMsg>",
            "data": lambda s: b"<DxpMsg><Data>" + b"A" * s + b"</Data></DxpMsg>",
            "what follows its data": lambda s: b"<DxpMsg><Data></Data>" + _filled("xmlns:", s) + b"</DxpMsg>",
        }.items()
    },
    "name": (lambda data: inner_name(data.decode()), lambda size: b"a" * size + b"/"),
}


@pytest.mark.parametrize("case", _CASES)
def test_input_of_four_times_the_length_takes_about_four_times_as_long(case: str) -> None:
    assert grows_with_its_input(*_CASES[case])
