"""Builders of declarations in public, each by how it writes: orders, versions, dates, codes, names, empty
elements."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tests.support.declarations import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """One builder. `late` are root children that come after the others, which keep the usual order;
    `first` fields open DecHead; `empty` ones, by block, are written as empty elements where there is no
    value; `head` is what it always writes. Times are strftime shapes; `%f` is cut to milliseconds.
    """

    name: str
    version: tuple[str, str] | None = None
    late: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    empty: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head: Fields = field(default_factory=dict)
    digits_for_countries: bool = False
    digits_for_currencies: bool = False
    organisation_codes: bool = False
    sign_date: str = "%Y%m%d%H%M%S00"
    sign_time: str = "%Y%m%d %H:%M:%S"
    owner_is_office: bool = False
    own_file_names: bool = False
    pdf_trailer: bool = False
    encoding: str = "UTF-8"


CW: Final = Habit(
    name="CW",
    organisation_codes=True,
    digits_for_currencies=True,
    empty={"DecHead": ("ApprNo", "Risk", "TgdNo")},
)

ODOO: Final = Habit(
    name="ODOO",
    version=("version", "3.1"),
    late=("DecHead", "EdocRealation"),
    first=("SeqNo", "IEFlag", "Type", "AgentCode", "AgentName"),
    empty={"DecHead": ("SeqNo", "Type", "PayWay", "PaymentMark", "InRatio")},
    digits_for_countries=True,
    digits_for_currencies=True,
    sign_date="%Y%m%d%H%M%S",
    sign_time="%Y%m%d%H%M%S",
    owner_is_office=True,
)

GX: Final = Habit(
    name="GX",
    version=("Version", "4.8"),
    first=("SeqNo", "IEFlag"),
    empty={"DecHead": ("SeqNo", "PreEntryId")},
)

AU3: Final = Habit(
    name="AU3",
    version=("version", "5.0"),
    late=("EdocRealation", "LicenseDocu"),
    sign_date="%Y%m%d %H%M%S",
    sign_time="%Y%m%d %H%M%S%f",
    own_file_names=True,
    pdf_trailer=True,
)

NEEDS: Final = Habit(
    name="NEEDS",
    version=("Version", "3.1"),
    organisation_codes=True,
    head={"EdiId": "0"},
    empty={
        "DecHead": (
            *(
                "SeqNo",
                "ApprNo",
                "BillNo",
                "ContrNo",
                "DataSource",
                "EntryId",
                "FeeCurr",
                "FeeMark",
                "FeeRate",
            ),
            *(
                "InsurCurr",
                "InsurMark",
                "InsurRate",
                "LicenseNo",
                "ManualNo",
                "NoteS",
                "OtherCurr",
                "OtherMark",
            ),
            *("OtherRate", "PartenerID", "PreEntryId", "Risk", "TgdNo", "Type", "BillType", "MarkNo", "BLNo"),
            *("DespDate", "CmplDschrgDt", "CorrelationNo", "OverseasConsignorCode", "OverseasConsignorEname"),
        ),
        "DecList": (
            *("ClassMark", "ContrItem", "ExgNo", "ExgVersion", "Factor", "SecondUnit", "SecondQty", "UseTo"),
            *("WorkUsd", "CiqCode", "ProdValidDt", "ProdQgp", "Uncode", "DangName", "RcepOrigPlaceCode"),
        ),
        "DecFreeTxt": ("BonNo", "CusFie", "DecBpNo", "DecNo", "RelId", "RelManNo"),
        "DecSign": ("HostId", "BillSeqNo", "Note"),
        "EdocRealation": ("OpNote", "SignUnit", "GNoStr"),
    },
)

NEEDS_GBK: Final = replace(NEEDS, name="NEEDS-GBK", encoding="GBK")

HABITS: Final = (CW, ODOO, GX, AU3, NEEDS, NEEDS_GBK)
