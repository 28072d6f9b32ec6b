"""The association's answer to a request: an `ImportAgrResponse`."""

from lxml import etree


def import_agr_response(*, code: int, message: str, cop_code: str, consign_no: str) -> bytes:
    """An ImportAgrResponse. An empty `consign_no` (nothing was imported) leaves out its element."""
    root = etree.Element("ImportAgrResponse")
    info = etree.SubElement(root, "ResponseInfo")
    for tag, value in (("ResponseCode", str(code)), ("ResponseMessage", message), ("CopCusCode", cop_code)):
        etree.SubElement(info, tag).text = value
    if consign_no:
        etree.SubElement(root, "ConsignNo").text = consign_no
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
