"""Documents that follow a declaration, as a party's software packs them."""

from collections.abc import Sequence

from gateway.formats.submission import NAMESPACE
from tests.support.pdfs import pdf
from tests.support.rendering import package


def document_package(
    number: str, value: str, codes: Sequence[str], *, note: str = "", name: str = "documents"
) -> bytes:
    """A DocumentPackage with a PDF of each class for the declaration that `value` names in the element
    `number`: ClientSeqNo, SeqNo or EntryId."""
    files = {f"{name}-{code}.pdf": pdf(text=code) for code in codes}
    listed = "".join(
        f"<Document><EdocID>{file}</EdocID><EdocCode>{code}</EdocCode><EdocFomatType>US</EdocFomatType></Document>"
        for code, file in zip(codes, files, strict=True)
    )
    note_element = f"<Note>{note}</Note>" if note else ""
    content = f"<{number}>{value}</{number}>{listed}{note_element}"
    xml = f'<DocumentPackage xmlns="{NAMESPACE}">{content}</DocumentPackage>'
    return package(xml.encode(), files, f"{name}.xml")
