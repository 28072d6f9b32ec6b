"""The documents of customs' answers, DecImportResponse and DEC_RESULT, with the elements of real ones in
their order."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from lxml import etree

from gateway.model.china import CHINA

_DEC: Final = "http://www.chinaport.gov.cn/dec"


def import_response(*, code: int, error: str, client_reference: str, seq_no: str, transit_no: str) -> bytes:
    """A DecImportResponse. If nothing was imported, `seq_no` is empty, and the elements of both numbers are
    left out; `transit_no` is empty where there is no transit form."""
    root = etree.Element(f"{{{_DEC}}}DecImportResponse", nsmap={None: _DEC})
    values = {"ResponseCode": str(code), "ErrorMessage": error, "ClientSeqNo": client_reference}
    if seq_no:
        values |= {"SeqNo": seq_no, "TrnPreId": transit_no}
    return _document(root, f"{{{_DEC}}}", values)


def dec_result(
    *, seq_no: str, entry_id: str, channel: str, note: str, office: str, moved_on: str, at: datetime
) -> bytes:
    """A DEC_RESULT with the time `at`. `moved_on` is the date of entry or exit (yyyyMMdd, may be empty)."""
    local = at.astimezone(CHINA)
    values = {
        "CUS_CIQ_NO": seq_no,
        "ENTRY_ID": entry_id,
        "NOTICE_DATE": local.strftime("%Y-%m-%dT%H:%M:%S"),
        "CHANNEL": channel,
        "NOTE": note,
        "CUSTOM_MASTER": office,
        "I_E_DATE": moved_on,
        "D_DATE": local.strftime("%Y-%m-%dT00:00:00"),
    }
    return _document(etree.Element("DEC_RESULT"), "", values)


def _document(root: etree._Element, namespace: str, values: Mapping[str, str]) -> bytes:
    for tag, value in values.items():
        etree.SubElement(root, namespace + tag).text = value
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
