"""Documents that follow a declaration, as a party's software packs them."""

from collections.abc import Sequence

from gateway.formats.submission import NAMESPACE
from tests.support.pdfs import pdf
from tests.support.rendering import package


def document_package(
    number: str, wanted: str, codes: Sequence[str], *, note: str = "", name: str = "documents"
) -> bytes:
    """A DocumentPackage with a PDF of each class for the declaration that `wanted` names in the element
    `number`: ClientSeqNo, SeqNo or EntryId."""
    files = {f"{name}-{code}.pdf": pdf(text=code) for code in codes}
    listed = "".join(
        f"<Document><EdocID>{file}</EdocID><EdocCode>{code}</EdocCode><EdocFomatType>US</EdocFomatType></Document>"
        for code, file in zip(codes, files, strict=True)
    )
    told = f"<Note>{note}</Note>" if note else ""
    xml = (
        f'<DocumentPackage xmlns="{NAMESPACE}"><{number}>{wanted}</{number}>{listed}{told}</DocumentPackage>'
    )
    return package(xml.encode(), files, f"{name}.xml")
