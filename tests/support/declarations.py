"""Goods declarations for tests and benchmarks: what is declared; `habits.py` says how it is written.

Everything a declaration needs at OperType C has a default that is consistent (totals, weights, line
numbers) and valid; nothing is random. `head`, `sign`, `free` and `Line.extra` change or add single
elements, and a value of `None` leaves one out, so that a test states just the defect it is about.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final, Literal, TypeAlias

Fields: TypeAlias = Mapping[str, str | None]
Blocks: TypeAlias = Mapping[str, tuple[Fields, ...]]

SHANGHAI: Final = timezone(timedelta(hours=8))
INVOICE: Final = "00000001"
PACKING_LIST: Final = "00000002"
CONTRACT: Final = "00000004"
AGREEMENT: Final = "10000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enterprise:
    code: str
    scc: str
    name: str

    @property
    def organisation(self) -> str:
        """The 9-character organisation code that older software writes (CopCode)."""
        return self.scc[8:17]


@cache
def enterprise(account: str) -> Enterprise:
    """The party of this account in the shipped config/parties.toml."""
    shipped = tomllib.loads(resources.files("config").joinpath("parties.toml").read_text("utf-8"))
    (party,) = (party for party in shipped["party"] if party["account"]["name"] == account)
    return Enterprise(code=party["code"], scc=party["scc"], name=party["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`origin` and `destination` are what they say; export entries write them swapped.

    Countries are ISO alpha-3 and currencies ISO 4217 here; a habit may write digits.
    """

    tariff: str = "8482102000"
    name: str = "深沟球轴承"
    model: str = "0|0|轴承|用于电动机|示例牌|型号6204-2RS"
    quantity: Decimal = Decimal(1000)
    price: Decimal = Decimal("1.25")
    weight: Decimal = Decimal(100)
    currency: str = "USD"
    origin: str = "JPN"
    destination: str = "CHN"
    extra: Fields = field(default_factory=dict)
    blocks: Blocks = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A PDF (`body`), or with `number` a document that is known by its number only."""

    code: str = INVOICE
    body: bytes = b""
    number: str = ""
    name: str = ""
    extra: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One entry. `blocks` adds further blocks by the name of one of their items, as `Container`."""

    reference: str = "TEST00000000000001"
    operation: Literal["A", "B", "C", "D", "E", "G"] = "C"
    direction: Literal["I", "E"] = "I"
    office: str = "0202"
    transport: str = "2"
    entry_type: str = "M"
    agent: Enterprise = field(default_factory=lambda: enterprise("broker-aa"))
    trader: Enterprise = field(default_factory=lambda: enterprise("trader-a"))
    abroad: str = "JPN"
    lines: tuple[Line, ...] = (Line(),)
    documents: tuple[Document, ...] = ()
    at: datetime = datetime(2026, 11, 2, 9, 30, 15, 250_000, tzinfo=SHANGHAI)
    head: Fields = field(default_factory=dict)
    sign: Fields = field(default_factory=dict)
    free: Fields = field(default_factory=dict)
    blocks: Blocks = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        return sum((line.weight for line in self.lines), Decimal(0))

    @property
    def gross(self) -> Decimal:
        return self.net * Decimal("1.08")


def export(reference: str = "TEST00000000000002") -> Declaration:
    """Goods of China sent to Japan from Yangshan."""
    line = Line(origin="CHN", destination="JPN", name="陶瓷餐具", tariff="6911101900", model="0|0|日用|瓷质")
    return Declaration(reference=reference, direction="E", office="2248", lines=(line,))


def owing_nothing(reference: str) -> Declaration:
    """For a trader that keeps its papers itself: its release is the last that anybody hears."""
    return Declaration(reference=reference, trader=enterprise("trader-aa"))


def lines(count: int, *, model: int = 0, texts: int = 0) -> tuple[Line, ...]:
    """So many different lines, with GModel filled up to `model` characters and each long text to `texts`."""
    return tuple(_line(number, model, texts) for number in range(1, count + 1))


_LONG_TEXTS: Final = {
    "Stuff": 400,
    "GoodsSpec": 2000,
    "GoodsModel": 2000,
    "GoodsBrand": 2000,
    "ProdBatchNo": 2000,
}
_WORDS: Final = ("规格", "6204-2RS", "轴承钢", "ABEC-5", "示例牌", "内径20mm", "外径47mm", "LOT")


def _line(number: int, model: int, texts: int) -> Line:
    plain = Line()
    return Line(
        name=f"{plain.name}{number:02d}",
        model=_filled(f"{plain.model}-{number:02d}", model),
        quantity=Decimal(100 + number),
        price=Decimal(250 + number) / 100,
        weight=Decimal(10 + number),
        extra={
            name: _filled(f"{number:02d}", min(texts, longest))
            for name, longest in _LONG_TEXTS.items()
            if texts
        },
    )


def _filled(text: str, length: int) -> str:
    parts = [text, *(f"{_WORDS[count % len(_WORDS)]}{count}" for count in range(length // 6))]
    return "|".join(parts)[: max(length, len(text))]


def small(reference: str = "TEST00000000000007") -> Declaration:
    """About 7 KB: five lines."""
    return Declaration(reference=reference, lines=lines(5, model=140, texts=55))


def middle(reference: str = "TEST00000000000055") -> Declaration:
    """About 55 KB: 45 lines with full GModel."""
    return Declaration(reference=reference, lines=lines(45, model=200, texts=60))


def large(reference: str = "TEST00000000000530") -> Declaration:
    """About 530 KB: the 50 lines that are allowed, with the texts that inspection asks for."""
    return Declaration(reference=reference, lines=lines(50, model=255, texts=1700))


def full(reference: str = "TEST00000000000099") -> Declaration:
    """An entry in transit with one of nearly every further block."""
    limit = {"GoodsNo": "1", "LicTypeCode": "411", "LicenceNo": "DEMO-LIC-1", "LicWrtofQtyUnit": "035"}
    return Declaration(
        reference=reference,
        operation="D",
        head={"DeclTrnRel": "1", "EdiId": "3"},
        lines=(Line(blocks={"DecGoodsLimit": (limit,)}), *lines(2)),
        blocks={
            "Container": (
                {"ContainerId": "CSQU3054383", "ContainerMd": "21", "GoodsNo": "1,2,3", "LclFlag": "0"},
            ),
            "LicenseDocu": ({"DocuCode": "7", "CertCode": "DEMO-2026-0001"},),
            "DecRequestCert": ({"AppCertCode": "21", "ApplOri": "1", "ApplCopyQuan": "2"},),
            "DecOtherPack": ({"PackQty": "10", "PackType": "92"},),
            "DecCopLimit": ({"EntQualifNo": "DEMO-Q-1", "EntQualifTypeCode": "519"},),
            "DecUser": ({"UseOrgPersonCode": "张示例", "UseOrgPersonTel": "022-00000000"},),
            "DecMarkLob": ({"AttachName": "marks.png", "AttachType": "png", "Attachment": "iVBORw0KGgo="},),
            "TrnHead": ({"TrnPreId": None, "NativeTrafMode": "4", "TransFlag": "11", "TrnType": "1"},),
            "TrnList": (
                {"TrafMode": "2", "ShipId": "UN9000001", "VoyageNo": "026E", "BillNo": "DEMOBL0001"},
            ),
            "TrnContainer": ({"ContaNo": "CSQU3054383", "ContaSn": "1", "ContaModel": "21"},),
            "TrnContaGoods": (
                {"GNo": "1", "ContaNo": "CSQU3054383", "ContaGoodsCount": "10", "ContaGoodsWeight": "100"},
            ),
            "DecSupplement": ({"GNo": "1", "SupType": "1", "BrandCN": "示例牌", "AgentType": "2"},),
            "DecRisk": ({"Risk": None, "Sign": None, "Note": "无"},),
            "DecCopPromise": ({"DeclaratioMaterialCode": "101040"},),
            "DecTpAccess": ({"TransitionApply": "0", "ConditionalLiftoffApply": "0"},),
            "EcoRelation": ({"CertType": "Y03", "DecGNo": "1", "EcoCertNo": "CDEMO0001", "EcoGNo": "1"},),
        },
    )
