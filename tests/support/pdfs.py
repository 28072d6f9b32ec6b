"""Attached PDF files for tests and benchmarks: real ones, the same bytes for the same arguments."""

import random
from io import BytesIO
from typing import Final

import pikepdf
from lxml import etree

_DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
_TRAILER_SIZE: Final = 2048
_COMMENT: Final = 48
_END: Final = b"%%EOF\n"


def pdf(
    pages: int = 1,
    size: int | None = None,
    version: str = "1.4",
    encrypted: bool = False,
    text: str = "INVOICE",
) -> bytes:
    """A PDF whose pages show `text` and their number.

    `size` is in bytes and exact: an image of noise on the first page, as large as it takes, which compresses
    no better than a scan does. Raises `ValueError` where the pages alone take more (about 300 bytes each,
    and 1 KB).
    """
    if size is None:
        return _pdf(pages, None, version, encrypted, text)
    around = len(_pdf(pages, size, version, encrypted, text)) - size
    # What offsets with fewer digits and the blocks of a cipher leave open is a comment before the end.
    noise = size - around - _COMMENT
    if noise < 1:
        raise ValueError(f"a PDF of {pages} pages takes more than {size} bytes")
    body = _pdf(pages, noise, version, encrypted, text).removesuffix(_END)
    return body + b"%".ljust(size - len(body) - len(_END) - 1, b" ") + b"\n" + _END


def _pdf(pages: int, noise: int | None, version: str, encrypted: bool, text: str) -> bytes:
    file = pikepdf.new()
    font = file.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
    )
    for number in range(1, pages + 1):
        page = file.add_blank_page(page_size=(595, 842))
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        drawn = f"BT /F1 18 Tf 60 760 Td 24 TL ({text}) Tj T* (Page {number} of {pages}) Tj ET"
        if number == 1 and noise is not None:
            image = pikepdf.Stream(file, random.Random(noise).randbytes(noise))  # noqa: S311  no secret
            image.Type, image.Subtype = pikepdf.Name.XObject, pikepdf.Name.Image
            image.Width, image.Height = noise, 1
            image.ColorSpace, image.BitsPerComponent = pikepdf.Name.DeviceGray, 8
            page.Resources.XObject = pikepdf.Dictionary(Scan=image)
            drawn += " q 475 0 0 600 60 60 cm /Scan Do Q"
        page.Contents = pikepdf.Stream(file, drawn.encode("ascii"))
    out = BytesIO()
    file.save(
        out,
        force_version=version,
        static_id=True,
        compress_streams=False,
        object_stream_mode=pikepdf.ObjectStreamMode.disable,
        # Revision 3 is the encryption of PDF 1.4; qpdf drops a later one when the version is forced.
        encryption=pikepdf.Encryption(owner="owner", user="", R=3, aes=False, metadata=False)
        if encrypted
        else False,
    )
    return out.getvalue()


def with_trailer(body: bytes, *, name: str, code: str, office: str, trade_code: str) -> bytes:
    """The PDF and the XML block that one builder appends, with blanks up to 2048 characters."""
    root = etree.Element(f"{{{_DSIG}}}DataInfo", nsmap={None: _DSIG}, version="1.0")
    signed = etree.SubElement(root, f"{{{_DSIG}}}SignedDate")
    envelope = etree.SubElement(signed, f"{{{_DSIG}}}EnvelopInfo")
    data = etree.SubElement(signed, f"{{{_DSIG}}}Data")
    information = etree.SubElement(root, f"{{{_DSIG}}}SubSignedInfo")
    fields = {
        envelope: {"Message_Type": "USF001", "Master_Customs_Code": office},
        data: {
            "PRE_ENTRY_ID": "",
            "ENTRY_ID": "",
            "FILE_NAME": name,
            "FORMAT_TYPE": "US",
            "TRADE_CODE": trade_code,
            "MASTER_CUSTOMS_CODE": office,
            "GROUP_ID": "",
            "TRADE_FILE_NAME": "invoice.pdf",
            "DECL_TYPE": "F",
            "DECL_TIME": "20261102 093000",
            "DECL_CODE": trade_code,
            "DECL_NAME": "",
            "FILE_TYPE": code,
            "FILE_SOURCE": "PORT",
            "FILE_DIGEST": "",
            "SIGN_CERT": "",
            "FILE_SIGN": "",
            "OP_NOTE": "",
        },
        information: {"SignerID": "", "KeyName": "", "HashSign": ""},
    }
    for parent, values in fields.items():
        for tag, value in values.items():
            etree.SubElement(parent, f"{{{_DSIG}}}{tag}").text = value or None
    return body + etree.tostring(root, encoding="utf-8").ljust(_TRAILER_SIZE)
