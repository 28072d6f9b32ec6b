"""One reading of a document's bytes: a declaration is read to the letter, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.formats.encoding import as_utf8
from gateway.model.faults import MessageRejected
from tests.support.declarations import Declaration
from tests.support.rendering import render
from tests.support.validating import findings, judged

BODY = render(Declaration()).partition(b"?>")[2].decode()
MARK = b"\xef\xbb\xbf"

WELL_FORMED = [
    '<?xml version="1.0"?>',
    "<?xml version='1.0'?>",
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<?xml\tversion = '1.0'\r\n encoding\n=\n'utf-8'  standalone='yes' ?>",
    f'<?xml version="1.0"{" " * 5000}?>',
    "",
]
NOT_WELL_FORMED = [
    '<?xml version="1.1" encoding="UTF-8"?>',
    '<?xml version="2.0"?>',
    '<?xml version="1.00"?>',
    '<?xml version=" 1.0"?>',
    "<?xml version='1.0\"?>",
    '<?xml encoding="UTF-8"?>',
    '<?xml encoding="GBK" version="1.0"?>',
    '<?xml version="1.0"encoding="UTF-8"?>',
    '<?xml version="1.0" encoding="UTF-8" encoding="GBK"?>',
    '<?xml version="1.0" encoding="UTF-8" x="GBK"?>',
    '<?xml version="1.0" x="1" encoding="GBK"?>',
    '<?xml version="1.0" standalone="yes" encoding="GBK"?>',
    '<?xml version="1.0" encoding=""?>',
    '<?xml version="1.0" encoding="-UTF-8"?>',
    '<?xml version="1.0" encoding="UTF-8" standalone="maybe"?>',
    '<?xml version="1.0" encoding=UTF-8?>',
    '<?xml version="1.0" encoding="UTF-8"',
    '<?xml version="1.0" encoding="UTF-8">',
    "<?xml version='1.0' encoding='GBK'\x0b?>",
    "<?xml?>",
    "<?xml ?>",
]


@pytest.mark.parametrize("declaration", WELL_FORMED)
def test_a_well_formed_declaration_is_read(declaration: str) -> None:
    for mark in (b"", MARK):
        assert judged(mark + declaration.encode() + BODY.encode()).warnings == ()


@pytest.mark.parametrize("declaration", NOT_WELL_FORMED)
@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_declaration_that_is_not_wholly_well_formed_is_refused(declaration: str, encoding: str) -> None:
    (finding,) = findings(declaration.encode() + BODY.encode(encoding))
    assert (finding.code, finding.place.line) == ("xml-declaration", 1)


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "GB18030", "UTF-8"])
def test_there_is_one_byte_order_mark_at_most_and_that_of_utf_8(encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?>{BODY}'
    assert judged(document.encode(encoding)).warnings == ()
    marked = {("\ufeff" + document).encode("gb18030" if encoding != "UTF-8" else "utf-8")}
    marked |= {MARK * 2 + document.encode(encoding), MARK * 3 + document.encode(encoding)}
    if encoding == "UTF-8":
        marked = {MARK + data for data in marked if data.startswith(MARK)}
    for data in marked:
        (finding,) = findings(data)
        assert finding.code in ("xml-encoding", "xml-malformed")


@pytest.mark.parametrize(
    "code", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp037", "big5"]
)
def test_no_other_encoding_is_read(code: str) -> None:
    document = f'<?xml version="1.0" encoding="{code}"?>{BODY}'.encode(code, "replace")
    (finding,) = findings(document)
    assert finding.code in ("xml-encoding", "xml-malformed")


_PIECES = ["<?xml", " ", "\t", "version", "=", '"1.0"', "'1.0'", "encoding", '"UTF-8"', "'GBK'", "standalone",
           '"yes"', "?>", ">", "x", '"', "'", "\n"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join))
def test_a_decoded_document_is_the_same_to_libxml2(beginning: str) -> None:
    """Its own parser decides by the declaration here; ours is told that the text is UTF-8."""
    document = f"{beginning}<a>天津</a>"
    for encoding in ("utf-8", "gbk"):
        data = document.encode(encoding)
        try:
            text = as_utf8(data)
        except MessageRejected:
            continue
        parsers = [
            etree.XMLParser(resolve_entities=False),
            etree.XMLParser(encoding="utf-8", resolve_entities=False),
        ]
        readings = []
        for body, parser in zip((data, text), parsers, strict=True):
            try:
                readings.append(etree.tostring(etree.fromstring(body, parser), encoding="unicode"))
            except etree.XMLSyntaxError:
                readings.append("")
        assert readings[0] == readings[1]


@pytest.mark.parametrize(
    ("markup", "refused"),
    [
        ("<NoteS>12<!-- a -->34</NoteS>", True),
        ("<NoteS><!-- a -->34</NoteS>", True),
        ("<NoteS>12<!-- a --></NoteS>", True),
        ("<NoteS>12<!----></NoteS>", True),
        ("<NoteS><![CDATA[12]]><!-- a --></NoteS>", True),
        ("<NoteS>&#49;<!-- a --></NoteS>", True),
        ("<NoteS> <!-- a -->\u3000<!-- b --></NoteS>", False),
        ("<NoteS><!-- a --></NoteS>", False),
        ("<NoteS><![CDATA[<!-- text -->]]></NoteS>", False),
        ("<NoteS>&lt;!-- text --></NoteS>", False),
        ("<!-- a --><NoteS>1</NoteS><!-- b -->", False),
    ],
)
@pytest.mark.parametrize("encoding", ["UTF-8", "GBK"])
def test_a_comment_is_refused_where_it_stands_beside_text_and_nowhere_else(
    markup: str, refused: bool, encoding: str
) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><!-- first -->{BODY}<!-- last -->'
    document = document.replace("<NoteS/>", "").replace("<DecHead>", f"<DecHead>{markup}", 1)
    faults = [(finding.code, finding.place.xpath) for finding in findings(document.encode(encoding))]
    assert faults == ([("xml-comment", "/DecMessage/DecHead/NoteS")] if refused else [])
