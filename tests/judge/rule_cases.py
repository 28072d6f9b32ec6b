"""A declaration with every block that the rules speak of, and the table of what breaks each rule."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from lxml import etree

from gateway.model.message import Part, Pdf
from tests.support.declarations import AGREEMENT, Document, full
from tests.support.validating import SOUND, at, file, put, take, tree

Change: TypeAlias = Callable[[etree._Element], object]
Operation: TypeAlias = Literal["C", "D", "G"]

INVOICE_FILE: Final = "020200000001IM202611020000000001.pdf"
FILES: Final = (file(INVOICE_FILE),)


def everything(operation: Operation = "D") -> etree._Element:
    """Sound in every rule, with the attachment `FILES`."""
    documents = (Document(name=INVOICE_FILE, body=b"."), Document(code=AGREEMENT, number="195200016172325"))
    root = tree(replace(full(), operation=operation, documents=documents))
    line = at(root, "DecLists/DecList")
    put(at(line, "DecGoodsLimits/DecGoodsLimit"), "DecGoodsLimitVin")
    vin = at(line, "DecGoodsLimits/DecGoodsLimit/DecGoodsLimitVin")
    for name, text in (("LicenceNo", "DEMO-LIC-1"), ("LicTypeCode", "411"), ("BillLadDate", "20261101")):
        put(vin, name, text)
    model = put(put(line, "DecControlModels"), "DecControlModel")
    put(model, "ElementNo", "1")
    put(model, "DeclarationCategoryCode", "A001")
    fee = put(root, "DecRoyaltyFee")
    for name, text in _ROYALTY.items():
        put(fee, name, text)
    put(put(put(root, "SddTax"), "SddTaxHead"), "LegalLiability", "已知晓")
    return root


_ROYALTY: Final = {
    "ContractNo": "DEMO-R-1",
    "Authorizer": "示例授权方",
    "AuthorizedPerson": "示例被授权方",
    "PayType": "0",
    "PayTime": "2026-10-01",
    "EffectiveDateTime": "2026-01-01",
    "ExpirationDateTime": "2036-01-01",
    "RoyaltyAmount": "100.00",
    "Curr": "USD",
    "RoyaltyFeeType": "1000",
    "EdocType": "10000000",
    "Statment": "示例说明",
    "IsSecret": "0",
    "IssueDateTime": "2025-12-01",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`change` breaks `rule` alone, and the finding is at `place` (under the root) or in `file`. `along` are
    rules that cannot but break as well."""

    rule: str
    change: Change = lambda root: None
    place: str | None = None
    severity: Literal["error", "warning"] = "error"
    code: str = "business-rule"
    operation: Operation = "D"
    files: tuple[Part, ...] = FILES
    file: str = "declaration.xml"
    along: tuple[str, ...] = ()


def text(path: str, value: str | None) -> Change:
    """Gives the element at `path` this text, making it where it is missing."""
    parent, _, name = path.rpartition("/")
    return lambda root: put(at(root, parent), name, value)


def without(*names: str) -> Change:
    def change(root: etree._Element) -> None:
        for name in names:
            take(root, name)

    return change


def again(path: str) -> Change:
    def change(root: etree._Element) -> None:
        element = at(root, path)
        parent = element.getparent()
        assert parent is not None
        copied = etree.SubElement(parent, element.tag)
        copied.text = element.text

    return change


def both(*changes: Change) -> Change:
    def change(root: etree._Element) -> None:
        for change in changes:
            change(root)

    return change


def missing(
    first: str, block: str, operation: Operation, names: str, *, only_at_save: bool = False, along: str = ""
) -> list[Case]:
    """Fields whose absence breaks the rules from `first` on; `only_at_save` are warned about here."""
    number = int(first.removeprefix("DEC-"))
    return [
        Case(
            rule=f"DEC-{rule:03d}",
            change=text(f"{block}/{name}", None),
            place=block,
            operation=operation,
            severity="warning" if only_at_save else "error",
            along=tuple(along.split()),
        )
        for rule, name in enumerate(names.split(), number)
    ]


_LINE: Final = "DecLists/DecList"
_LIMIT: Final = f"{_LINE}/DecGoodsLimits/DecGoodsLimit"
_VIN: Final = f"{_LIMIT}/DecGoodsLimitVin"

# What a save and what a declaration must have, in the order of the data dictionary of the import interface.
REQUIRED: Final = [
    *missing(
        "DEC-101",
        "DecHead",
        "G",
        "AgentCode AgentName CopCode CopName CustomMaster DeclTrnRel IEFlag InputerName TypistNo"
        " PromiseItmes TradeAreaCode DeclareName",
    ),
    *missing(
        "DEC-113",
        "DecHead",
        "D",
        "DistinatePort EdiId EntryType GrossWet IEPort NetWt OwnerName PackNo TradeCountry TradeMode"
        " TradeCode TrafMode TradeName TransMode WrapType TradeCoScc AgentCodeScc OwnerCodeScc DespPortCode"
        " EntyPortCode GoodsPlace",
    ),
    *missing("DEC-141", "DecSign", "G", "OperType ClientSeqNo"),
    *missing("DEC-143", "DecSign", "D", "SignDate"),
    *missing("DEC-151", _LINE, "G", "CodeTS GNo DestinationCountry"),
    *missing(
        "DEC-154",
        _LINE,
        "D",
        "DeclPrice DeclTotal DutyMode FirstUnit FirstQty GUnit GName GQty OriginCountry TradeCurr"
        " DistrictCode",
    ),
    *missing("DEC-201", "DecContainers/Container", "G", "ContainerId ContainerMd GoodsNo"),
    *missing("DEC-204", "DecContainers/Container", "D", "ContainerId ContainerMd GoodsNo", only_at_save=True),
    *missing("DEC-211", "DecLicenseDocus/LicenseDocu", "G", "DocuCode CertCode"),
    *missing("DEC-213", "DecLicenseDocus/LicenseDocu", "D", "DocuCode CertCode", only_at_save=True),
    *missing("DEC-221", "DecRequestCerts/DecRequestCert", "G", "AppCertCode"),
    *missing("DEC-222", "DecRequestCerts/DecRequestCert", "D", "AppCertCode", only_at_save=True),
    *missing("DEC-231", "DecOtherPacks/DecOtherPack", "D", "PackType"),
    *missing("DEC-241", "DecCopLimits/DecCopLimit", "D", "EntQualifTypeCode"),
    *missing("DEC-251", "DecMarkLobs/DecMarkLob", "G", "AttachName Attachment"),
    *missing("DEC-261", "TrnContainers/TrnContainer", "G", "ContaNo", along="DEC-513"),
    *missing("DEC-262", "TrnContainers/TrnContainer", "D", "ContaNo", only_at_save=True, along="DEC-513"),
    *missing("DEC-271", "TrnContaGoodsList/TrnContaGoods", "G", "GNo ContaNo"),
    *missing("DEC-273", "TrnContaGoodsList/TrnContaGoods", "D", "ContaGoodsCount ContaGoodsWeight"),
    *missing("DEC-281", _LIMIT, "G", "GoodsNo"),
    *missing("DEC-282", _LIMIT, "D", "LicTypeCode LicenceNo"),
    *missing("DEC-291", _VIN, "G", "LicenceNo LicTypeCode"),
    *missing("DEC-301", "EdocRealation[2]", "G", "EdocID EdocCode EdocFomatType"),
    *missing("DEC-311", "EcoRelation", "G", "CertType DecGNo EcoCertNo EcoGNo"),
    *missing("DEC-321", "DecCopPromises/DecCopPromise", "D", "DeclaratioMaterialCode"),
    *missing(
        "DEC-331", f"{_LINE}/DecControlModels/DecControlModel", "G", "ElementNo DeclarationCategoryCode"
    ),
    *missing(
        "DEC-341",
        "DecRoyaltyFee",
        "G",
        "ContractNo Authorizer AuthorizedPerson PayType PayTime EffectiveDateTime ExpirationDateTime"
        " RoyaltyAmount Curr RoyaltyFeeType EdocType Statment IsSecret IssueDateTime",
    ),
    *missing("DEC-361", "SddTax/SddTaxHead", "D", "LegalLiability"),
]


def listed_again(code: str) -> Change:
    def change(root: etree._Element) -> None:
        line = copy.deepcopy(at(root, "EdocRealation"))
        put(line, "EdocCode", code)
        at(root, "EdocRealation[2]").addnext(line)

    return change


_UNLISTED: Final = file("unlisted.pdf")
_LONG_NAME: Final = f"{'x' * 61}.pdf"


def _pdf(rule: str, part: Part) -> Case:
    return Case(rule=rule, code="pdf-unfit", files=(part,), file=part.name)


BROKEN: Final = [
    # blocks and lines
    Case(rule="DEC-001", change=without("DecHead"), place="", code="schema-missing"),
    Case(
        rule="DEC-002",
        change=without("DecLists", "DecContainers", "TrnContaGoodsList", "DecSupplementLists", "EcoRelation"),
        place="",
        code="schema-missing",
    ),
    Case(rule="DEC-003", change=without("DecSign"), place="", code="schema-missing", operation="G"),
    Case(rule="DEC-004", change=without("DecFreeTxt"), place="", severity="warning"),
    Case(rule="DEC-005", change=again("DecFreeTxt"), place="DecFreeTxt[2]", code="schema-element"),
    Case(
        rule="DEC-007",
        change=again(f"{_LIMIT}/LicenceNo"),
        place=f"{_LIMIT}/LicenceNo[2]",
        code="schema-element",
    ),
    Case(
        rule="DEC-008",
        change=text("DecLists/DecList[2]/GNo", "3"),
        place="DecLists/DecList[2]/GNo",
        along=("DEC-008",),
    ),
    # codes
    Case(rule="DEC-401", change=text("DecHead/IEFlag", "X"), place="DecHead/IEFlag"),
    Case(rule="DEC-402", change=text("DecHead/EntryType", "Q"), place="DecHead/EntryType"),
    Case(rule="DEC-403", change=text("DecHead/DeclTrnRel", "7"), place="DecHead/DeclTrnRel"),
    Case(
        rule="DEC-404", change=text("DecHead/TradeMode", "011"), place="DecHead/TradeMode", along=("DEC-407",)
    ),
    Case(rule="DEC-405", change=text("DecHead/EdiId", "0"), place="DecHead/EdiId", severity="warning"),
    Case(rule="DEC-406", change=text("DecHead/TrafMode", "Q"), place="DecHead/TrafMode", severity="warning"),
    Case(
        rule="DEC-407",
        change=text("DecHead/TradeMode", "0001"),
        place="DecHead/TradeMode",
        severity="warning",
    ),
    Case(rule="DEC-408", change=text("DecHead/CutMode", "000"), place="DecHead/CutMode", severity="warning"),
    Case(
        rule="DEC-409", change=text("DecHead/TransMode", "0"), place="DecHead/TransMode", severity="warning"
    ),
    Case(rule="DEC-410", change=text("DecHead/WrapType", "Q9"), place="DecHead/WrapType", severity="warning"),
    Case(rule="DEC-411", change=text("DecHead/FeeMark", "9"), place="DecHead/FeeMark", severity="warning"),
    Case(rule="DEC-412", change=text("DecSign/OperType", "X"), place="DecSign/OperType", operation="G"),
    Case(rule="DEC-413", change=text(f"{_LINE}/TradeCurr", "USX"), place=f"{_LINE}/TradeCurr"),
    Case(rule="DEC-413", change=text("DecHead/FeeCurr", "5"), place="DecHead/FeeCurr"),
    Case(
        rule="DEC-414",
        change=text(f"{_LINE}/TradeCurr", "999"),
        place=f"{_LINE}/TradeCurr",
        severity="warning",
    ),
    Case(rule="DEC-415", change=text("DecHead/TradeCountry", "XXX"), place="DecHead/TradeCountry"),
    Case(rule="DEC-415", change=text(f"{_LINE}/OriginCountry", "jpn"), place=f"{_LINE}/OriginCountry"),
    Case(
        rule="DEC-416",
        change=text("DecHead/TradeAreaCode", "998"),
        place="DecHead/TradeAreaCode",
        severity="warning",
    ),
    Case(rule="DEC-417", change=text(f"{_LINE}/GUnit", "999"), place=f"{_LINE}/GUnit", severity="warning"),
    Case(
        rule="DEC-418", change=text(f"{_LINE}/DutyMode", "0"), place=f"{_LINE}/DutyMode", severity="warning"
    ),
    Case(rule="DEC-419", change=text("DecHead/IEPort", "9899"), place="DecHead/IEPort", severity="warning"),
    Case(rule="DEC-420", change=text(f"{_LINE}/CodeTS", "84821020"), place=f"{_LINE}/CodeTS"),
    # what must agree
    Case(rule="DEC-501", change=text("DecHead/NetWt", "99999999"), place="DecHead/NetWt"),
    Case(rule="DEC-502", change=text(f"{_LINE}/DeclTotal", "1300"), place=f"{_LINE}/DeclTotal"),
    Case(rule="DEC-502", change=text(f"{_LINE}/DeclTotal", "1200"), place=f"{_LINE}/DeclTotal"),
    Case(
        rule="DEC-503",
        change=text(f"{_LINE}/DestinationCountry", "JPN"),
        place=f"{_LINE}/DestinationCountry",
        severity="warning",
    ),
    Case(
        rule="DEC-504",
        change=both(
            text("DecHead/IEFlag", "E"),
            *(text(f"DecLists/DecList[{n}]/OriginCountry", "USA") for n in (1, 2)),
            text("DecLists/DecList[3]/OriginCountry", "142"),
        ),
        place="DecLists/DecList[3]/OriginCountry",
        severity="warning",
    ),
    Case(rule="DEC-506", change=text(f"{_LINE}/SecondUnit", "035"), place=_LINE),
    Case(rule="DEC-506", change=text(f"{_LINE}/SecondQty", "5"), place=_LINE),
    Case(
        rule="DEC-507",
        change=text("DecContainers/Container/GoodsNo", "1,4"),
        place="DecContainers/Container/GoodsNo",
    ),
    Case(
        rule="DEC-507",
        change=text("DecContainers/Container/GoodsNo", "1;2"),
        place="DecContainers/Container/GoodsNo",
    ),
    Case(rule="DEC-508", change=text(f"{_LIMIT}/GoodsNo", "0"), place=f"{_LIMIT}/GoodsNo"),
    Case(rule="DEC-509", change=text("EdocRealation/GNoStr", "9"), place="EdocRealation[1]/GNoStr"),
    Case(rule="DEC-510", change=text("EcoRelation/DecGNo", "4"), place="EcoRelation/DecGNo"),
    Case(
        rule="DEC-511",
        change=text("TrnContaGoodsList/TrnContaGoods/GNo", "4"),
        place="TrnContaGoodsList/TrnContaGoods/GNo",
    ),
    Case(
        rule="DEC-512",
        change=text("DecSupplementLists/DecSupplement/GNo", "4"),
        place="DecSupplementLists/DecSupplement/GNo",
    ),
    Case(
        rule="DEC-513",
        change=text("TrnContaGoodsList/TrnContaGoods/ContaNo", "CSQU0000000"),
        place="TrnContaGoodsList/TrnContaGoods/ContaNo",
        severity="warning",
    ),
    Case(rule="DEC-514", change=text("DecHead/IEDate", "20240231"), place="DecHead/IEDate"),
    Case(rule="DEC-514", change=text(f"{_VIN}/BillLadDate", "20230229"), place=f"{_VIN}/BillLadDate"),
    Case(
        rule="DEC-515",
        change=text("DecSign/SignDate", "2026-11-02 09:30"),
        place="DecSign/SignDate",
        severity="warning",
    ),
    Case(
        rule="DEC-516",
        change=text("DecHead/TradeCoScc", "91120116MADEM0A15J"),
        place="DecHead/TradeCoScc",
        severity="warning",
    ),
    Case(
        rule="DEC-517",
        change=text("DecHead/SeqNo", "X20260000000000001"),
        place="DecHead/SeqNo",
        severity="warning",
    ),
    Case(
        rule="DEC-518", change=text("DecHead/EntryId", "12345"), place="DecHead/EntryId", severity="warning"
    ),
    Case(rule="DEC-519", change=text("DecHead/BillType", "1"), place="DecHead/BillType", severity="warning"),
    Case(rule="DEC-520", change=text("DecTpAccess/TransitionApply", "1"), place="DecTpAccess"),
    Case(
        rule="DEC-521",
        change=text("DecSupplementLists/DecSupplement/IsClassDecision", "1"),
        place="DecSupplementLists/DecSupplement",
    ),
    Case(rule="DEC-522", change=without("TrnHead"), place="DecSign/OperType", severity="warning"),
    # documents
    Case(
        rule="DEC-601", change=text("EdocRealation/EdocCode", "99999999"), place="EdocRealation[1]/EdocCode"
    ),
    Case(
        rule="DEC-602",
        change=text("EdocRealation[2]/EdocFomatType", "PD"),
        place="EdocRealation[2]/EdocFomatType",
    ),
    Case(
        rule="DEC-603",
        change=text("EdocRealation/EdocCode", "10000002"),
        place="EdocRealation[1]/EdocFomatType",
        severity="warning",
    ),
    Case(
        rule="DEC-604",
        change=text("EdocRealation[2]/EdocID", "agreement.pdf"),
        place="EdocRealation[2]/EdocID",
    ),
    Case(rule="DEC-605", place="EdocRealation[1]/EdocID", code="document-missing", files=()),
    Case(rule="DEC-606", code="document-unlisted", files=(*FILES, _UNLISTED), file="unlisted.pdf"),
    Case(
        rule="DEC-607",
        change=text("EdocRealation[2]/EdocCode", "00000004"),
        place="EdocRealation[2]/EdocFomatType",
        severity="warning",
    ),
    Case(
        rule="DEC-608",
        change=listed_again("00000004"),
        place="EdocRealation[3]/EdocID",
        severity="warning",
    ),
    Case(
        rule="DEC-609",
        change=text("EdocRealation/EdocID", INVOICE_FILE.upper()),
        place="EdocRealation[1]/EdocID",
        severity="warning",
    ),
    Case(
        rule="DEC-610",
        change=text("EdocRealation/EdocID", "INVOICE"),
        place="EdocRealation[1]/EdocID",
        code="document-ambiguous",
        files=(file("invoice.pdf"), file("Invoice.pdf")),
    ),
    Case(
        rule="DEC-618",
        code="pdf-unfit",
        severity="warning",
        files=(file(INVOICE_FILE, pdf=replace(SOUND, active="JavaScript")),),
        file=INVOICE_FILE,
    ),
    _pdf("DEC-611", file(INVOICE_FILE, pdf=Pdf(problem="no PDF header"))),
    _pdf("DEC-612", file(INVOICE_FILE, pdf=replace(SOUND, encrypted=True))),
    _pdf("DEC-613", file(INVOICE_FILE, pdf=replace(SOUND, version=13))),
    _pdf("DEC-614", file(INVOICE_FILE, size=4 * 1024 * 1024 + 1, pdf=replace(SOUND, pages=100))),
    _pdf("DEC-615", file(INVOICE_FILE, size=800 * 1024 + 1)),
    Case(
        rule="DEC-616",
        change=text("EdocRealation/EdocID", _LONG_NAME[:-4]),
        code="pdf-unfit",
        files=(file(_LONG_NAME),),
        file=_LONG_NAME,
    ),
    Case(
        rule="DEC-617",
        code="pdf-unfit",
        severity="warning",
        files=(file(INVOICE_FILE, pdf=replace(SOUND, trailer=True, trailer_name="other.pdf")),),
        file=INVOICE_FILE,
    ),
]
