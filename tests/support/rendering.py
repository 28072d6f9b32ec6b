"""Writes a declaration as one of the builders does, and packs it with its PDF files."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Final, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from lxml import etree

from tests.support.declarations import Blocks, Declaration, Document, Fields, Line
from tests.support.habits import CW, Habit
from tests.support.pdfs import with_trailer

NAMESPACE: Final = "http://www.chinaport.gov.cn/dec"

Item: TypeAlias = tuple[Fields, Blocks]

# Root children in the usual order, and DecGoodsLimit, each with the list that wraps it, if one does.
_WRAPPERS: Final[Mapping[str, str | None]] = {
    "DecHead": None,
    "DecList": "DecLists",
    "Container": "DecContainers",
    "LicenseDocu": "DecLicenseDocus",
    "DecRequestCert": "DecRequestCerts",
    "DecOtherPack": "DecOtherPacks",
    "DecCopLimit": "DecCopLimits",
    "DecUser": "DecUsers",
    "DecMarkLob": "DecMarkLobs",
    "DecFreeTxt": None,
    "DecSign": None,
    "TrnHead": None,
    "TrnList": None,
    "TrnContainer": "TrnContainers",
    "TrnContaGoods": "TrnContaGoodsList",
    "DecSupplement": "DecSupplementLists",
    "DecRisk": None,
    "DecCopPromise": "DecCopPromises",
    "DecTpAccess": None,
    "DecRoyaltyFee": None,
    "EdocRealation": None,
    "EcoRelation": None,
    "DecGoodsLimit": "DecGoodsLimits",
}
_COUNTRY_DIGITS: Final = {"CHN": "142", "JPN": "116", "USA": "502", "DEU": "304", "KOR": "133", "HKG": "110"}
_CURRENCY_DIGITS: Final = {"CNY": "142", "USD": "502", "EUR": "300", "JPY": "116", "HKD": "110"}
_COUNTRY_FIELDS: Final = frozenset({"TradeCountry", "TradeAreaCode", "OriginCountry", "DestinationCountry"})
_CURRENCY_FIELDS: Final = frozenset({"TradeCurr", "FeeCurr", "InsurCurr", "OtherCurr"})
_PORT_FIELDS: Final = frozenset({"DistinatePort", "DespPortCode"})


def render(declaration: Declaration, habit: Habit = CW, *, indent: bool = False) -> bytes:
    """The declaration as this builder's file: bytes with an XML declaration, in the builder's encoding."""
    root = etree.Element(f"{{{NAMESPACE}}}DecMessage", nsmap={None: NAMESPACE})
    if habit.version:
        root.set(*habit.version)
    blocks = _blocks(declaration, habit)
    usual = (name for name in _WRAPPERS if name not in habit.late)
    for name in (*usual, *habit.late):
        _append(root, name, blocks.get(name, []), habit)
    if indent:
        etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding=habit.encoding)


def files(declaration: Declaration, habit: Habit = CW) -> dict[str, bytes]:
    """The PDF files that belong to it, by the names that its EdocRealation entries say."""
    collected = {}
    for number, document in enumerate(declaration.documents, 1):
        if document.number:
            continue
        name = _file_name(declaration, number, document, habit)
        collected[name] = document.body
        if habit.pdf_trailer:
            collected[name] = with_trailer(
                document.body,
                name=name,
                code=document.code,
                office=declaration.office,
                trade_code=declaration.trader.code,
            )
    return collected


def package(xml: bytes, pdfs: Mapping[str, bytes], name: str = "declaration.xml") -> bytes:
    """A flat zip of the document, called `name`, and its PDF files; always the same bytes."""
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for entry, body in ((name, xml), *pdfs.items()):
            archive.writestr(ZipInfo(entry, (2026, 11, 2, 9, 30, 0)), body, ZIP_DEFLATED)
    return out.getvalue()


def packed(declaration: Declaration, habit: Habit = CW) -> bytes:
    """The declaration and its PDF files as one package, the document named for the reference."""
    return package(render(declaration, habit), files(declaration, habit), f"{declaration.reference}.xml")


def _append(parent: etree._Element, name: str, items: Sequence[Item], habit: Habit) -> None:
    wrapper = _WRAPPERS[name]
    if wrapper and items:
        parent = etree.SubElement(parent, f"{{{NAMESPACE}}}{wrapper}")
    for fields, blocks in items:
        element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
        for tag, value in fields.items():
            if value is not None:
                etree.SubElement(element, f"{{{NAMESPACE}}}{tag}").text = _code(tag, value, habit) or None
        for inner, further in blocks.items():
            _append(element, inner, [(name, {}) for name in further], habit)


def _code(tag: str, value: str, habit: Habit) -> str:
    if tag in _COUNTRY_FIELDS and habit.digits_for_countries:
        return _COUNTRY_DIGITS.get(value, value)
    if tag in _CURRENCY_FIELDS and habit.digits_for_currencies:
        return _CURRENCY_DIGITS.get(value, value)
    if tag in _PORT_FIELDS and habit.digits_for_countries:
        return _COUNTRY_DIGITS.get(value.removesuffix("000"), value)
    return value


def _blocks(declaration: Declaration, habit: Habit) -> dict[str, list[Item]]:
    lines = enumerate(declaration.lines, 1)
    documents = enumerate(declaration.documents, 1)
    return {
        **{name: [(item, {}) for item in items] for name, items in declaration.blocks.items()},
        "DecHead": [(_head(declaration, habit), {})],
        "DecList": [(_line(declaration, number, line, habit), line.blocks) for number, line in lines],
        "DecFreeTxt": [(_complete("DecFreeTxt", {"VoyNo": "026E"}, declaration.free, habit), {})],
        "DecSign": [(_sign(declaration, habit), {})],
        "EdocRealation": [(_document(declaration, number, each, habit), {}) for number, each in documents],
    }


def _complete(block: str, fields: Fields, changes: Fields, habit: Habit, first: Iterable[str] = ()) -> Fields:
    """`first`, then the fields, then what was added and what the habit writes empty; None is left out."""
    values = {**dict.fromkeys(habit.empty.get(block, ()), ""), **fields, **changes}
    order = dict.fromkeys((*first, *fields, *values))
    return {name: values[name] for name in order if name in values}


def _head(declaration: Declaration, habit: Habit) -> Fields:
    agent, trader = declaration.agent, declaration.trader
    keyer = agent.organisation if habit.organisation_codes else agent.code
    departure = declaration.abroad if declaration.direction == "I" else "CHN"
    fields = {
        "AgentCode": agent.code,
        "AgentName": agent.name,
        "BillNo": f"DEMOBL{zlib.crc32(declaration.reference.encode()):010d}",
        "ContrNo": f"DEMO-{declaration.at:%Y}-{declaration.reference[-4:]}",
        "CopCode": keyer,
        "CopName": agent.name,
        "CustomMaster": declaration.office,
        "CutMode": "101",
        "DeclTrnRel": "0",
        "DistinatePort": f"{declaration.abroad}000",
        "EdiId": "1",
        "EntryType": declaration.entry_type,
        "GrossWet": _number(declaration.gross),
        "IEDate": f"{declaration.at:%Y%m%d}",
        "IEFlag": declaration.direction,
        "IEPort": declaration.office,
        "InputerName": "李示例",
        "NetWt": _number(declaration.net),
        "OwnerCode": trader.code,
        "OwnerName": trader.name,
        "PackNo": str(len(declaration.lines)),
        "TradeCountry": declaration.abroad,
        "TradeMode": "0110",
        "TradeCode": trader.code,
        "TrafMode": declaration.transport,
        "TrafName": "DEMO STAR",
        "TradeName": trader.name,
        "TransMode": "1" if declaration.direction == "I" else "3",
        "TypistNo": "9800000000001",
        "WrapType": "22",
        "CopCodeScc": agent.scc,
        "TradeCoScc": trader.scc,
        "AgentCodeScc": agent.scc,
        "OwnerCodeScc": trader.scc,
        "PromiseItmes": "00000",
        "TradeAreaCode": declaration.abroad,
        "DespPortCode": f"{departure}000",
        "EntyPortCode": "120001",
        "GoodsPlace": "天津示例监管场所",
        "DeclareName": "王示例",
        "NoOtherPack": "1",
    }
    return _complete("DecHead", {**fields, **habit.head}, declaration.head, habit, habit.first)


def _line(declaration: Declaration, number: int, line: Line, habit: Habit) -> Fields:
    # Export entries carry destination in OriginCountry and origin in DestinationCountry.
    countries = (line.origin, line.destination)
    first, second = countries if declaration.direction == "I" else reversed(countries)
    fields = {
        "CodeTS": line.tariff,
        "DeclPrice": _number(line.price),
        "DeclTotal": _number(line.total),
        "DutyMode": "1",
        "FirstUnit": "035",
        "FirstQty": _number(line.weight),
        "GUnit": "007",
        "GModel": line.model,
        "GName": line.name,
        "GNo": str(number),
        "GQty": _number(line.quantity),
        "OriginCountry": first,
        "TradeCurr": line.currency,
        "DestinationCountry": second,
        "DistrictCode": "12072",
    }
    return _complete("DecList", fields, line.extra, habit)


def _sign(declaration: Declaration, habit: Habit) -> Fields:
    agent = declaration.agent
    fields = {
        "OperType": declaration.operation,
        "ICCode": "9800000000001",
        "CopCode": agent.organisation if habit.organisation_codes else agent.code,
        "OperName": "李示例",
        "ClientSeqNo": declaration.reference,
        "Sign": "",
        "SignDate": declaration.at.strftime(habit.sign_date),
        "Certificate": "",
        "DomainId": "1",
    }
    return _complete("DecSign", fields, declaration.sign, habit)


def _document(declaration: Declaration, number: int, document: Document, habit: Habit) -> Fields:
    fields = {
        "EdocID": _file_name(declaration, number, document, habit),
        "EdocCode": document.code,
        "EdocFomatType": "S" if document.number else "US",
        "EdocOwnerCode": declaration.office if habit.owner_is_office else declaration.trader.code,
        "SignTime": _moment(declaration.at, habit.sign_time),
        "EdocOwnerName": declaration.trader.name,
    }
    if not document.number:
        fields |= {"EdocCopId": f"document-{number}.pdf", "EdocSize": str(len(document.body))}
    return _complete("EdocRealation", fields, document.extra, habit)


def _file_name(declaration: Declaration, number: int, document: Document, habit: Habit) -> str:
    """Office, class, `IM`, 18 digits, unless document or builder has a name of its own."""
    if document.number or document.name:
        return document.number or document.name
    if habit.own_file_names:
        return f"DEMO_{declaration.at:%Y%m%d_%H%M%S}{number}.pdf"
    serial = f"{declaration.at:%Y%m%d}{zlib.crc32(declaration.reference.encode()) % 10**7:07d}{number:03d}"
    return f"{declaration.office}{document.code}IM{serial}.pdf"


def _moment(at: datetime, shape: str) -> str:
    text = at.strftime(shape)
    return text[:-3] if shape.endswith("%f") else text


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"


def wrapped(
    document: bytes, head: str = "<Compress>0</Compress>", *, after: str = "", root: str = "DecMessage"
) -> bytes:
    """The document with this root in an ImportMessage, its lines the same lines as before."""
    start = document.index(f"<{root}".encode())
    begin = f"<ImportMessage><SWImpHead><MsgType>SWDEC001</MsgType>{head}</SWImpHead><SWImpData>"
    end = f"</SWImpData>{after}</ImportMessage>"
    return document[:start] + begin.encode() + document[start:].rstrip() + end.encode()
