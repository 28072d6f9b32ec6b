"""Requests to import an agency agreement, as brokers and traders send them."""

from datetime import datetime
from itertools import count

from lxml import etree

from gateway.model.china import CHINA
from tests.support.declarations import enterprise

_bills = count(1)


def request(sender: str, trader: str = "trader-a", broker: str = "broker-aa", **changed: str) -> bytes:
    """Of the account `sender`, for a shipment of the bearings that test declarations declare, moved today.

    Under a bill of its own: a request has no reference, so that two with one content are the same.
    """
    oper = {"CopCusCode": enterprise(sender).code, "Sign": "", "OperType": "1"}
    info = {
        "GName": "深沟球轴承",
        "CodeTS": "8482102000",
        "DeclTotal": "1250.0000",
        "IEDate": f"{datetime.now(CHINA):%Y%m%d}",
        "ListNo": f"TESTBL{next(_bills):06}",
        "TradeMode": "0110",
        "OriCountry": "116",
        "TradeCode": enterprise(trader).code,
        "AgentCode": enterprise(broker).code,
        "Curr": "502",
    }
    root = etree.Element("ImportAgrRequest")
    for block, fields in (("OperInfo", oper), ("ImportInfo", info | changed)):
        parent = etree.SubElement(root, block)
        for name, text in fields.items():
            etree.SubElement(parent, name).text = text
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
