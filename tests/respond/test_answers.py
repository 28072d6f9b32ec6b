"""What customs says is read whatever form it comes in, and moves a declaration by rank, not by arrival."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from gateway.families.customs_codes import CustomsCodes
from gateway.families.families import Families
from gateway.model.answer import AnsweredDeclaration, AnswerKind, CustomsAnswer
from gateway.model.faults import Fault, MessageRejected
from gateway.model.message import Operation, Receipt, ReceiptKind
from gateway.model.policy import Policy
from gateway.model.receipt_names import receipt_name
from gateway.model.states import CustomsStatus, Event, State, advance
from gateway.respond.answer import decide, read

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
CODES = SCHEMAS / "cn-dec/1/codes"
CHANNELS = CustomsCodes.read((CODES / "receipt_channel.csv").read_text(encoding="utf-8"))
AT = datetime(2026, 11, 23, 16, 5, 6, 123456, tzinfo=UTC)
TARGET = AnsweredDeclaration(
    message="01JD9Z0000000000000000000A",
    account="broker-aa",
    file_name="报关单.zip",
    reference="C-1",
    state=State.DELIVERED,
    customs_status=CustomsStatus.NONE,
    seq_no="",
    entry_id="",
    operation=Operation.DECLARE,
    facts={},
    uses=None,
    released_to=frozenset(),
    revision=3,
)
BUSINESS = CustomsAnswer(
    kind=AnswerKind.BUSINESS,
    family="cn-dec",
    client_reference="",
    seq_no="I20260000000000001",
    entry_id="224820261000000001",
    status=CustomsStatus.STORED,
    code="L",
    note="",
    at=AT,
)
TECHNICAL = replace(
    BUSINESS, kind=AnswerKind.TECHNICAL, entry_id="", status=CustomsStatus.IMPORTED, code="0", at=None
)


# A real receipt of 2024, as it came.
REAL = (
    "<?xml version='1.0' encoding='utf-8'?>\n<DEC_RESULT><CUS_CIQ_NO>I20240001243258893</CUS_CIQ_NO>"
    "<ENTRY_ID>900120241000000851</ENTRY_ID><NOTICE_DATE>2024-04-17T09:15:03</NOTICE_DATE><CHANNEL>K</CHANNEL>"
    "<NOTE>报关单担保放行</NOTE><CUSTOM_MASTER>9001</CUSTOM_MASTER><I_E_DATE>20240417</I_E_DATE>"
    "<D_DATE>2024-04-17T00:00:00</D_DATE></DEC_RESULT>"
)


@pytest.fixture(scope="module")
def families() -> Families:
    return Families.load(SCHEMAS)


def dec_result(**values: str) -> str:
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in values.items())
    return f"<DEC_RESULT>{inner}</DEC_RESULT>"


def test_a_real_receipt_is_understood(families: Families) -> None:
    assert read(REAL.encode(), families) == CustomsAnswer(
        kind=AnswerKind.BUSINESS,
        family="cn-dec",
        client_reference="",
        seq_no="I20240001243258893",
        entry_id="900120241000000851",
        status=CustomsStatus.RELEASED,
        code="K",
        note="报关单担保放行",
        at=datetime(2024, 4, 17, 1, 15, 3, tzinfo=UTC),
    )


def test_a_receipt_in_gbk_is_understood(families: Families) -> None:
    assert read(REAL.replace("utf-8", "GBK").encode("gbk"), families).note == "报关单担保放行"


def test_a_wrapped_receipt_is_understood(families: Families) -> None:
    inner = dec_result(CLIENTSEQ_NO="C-1", SEQ_NO="I20260000000000001", ENTRY_ID="", CHANNEL="L")
    body = f"<DEC_DATA>{inner}<RESULT_INFO>入库成功</RESULT_INFO></DEC_DATA>"

    parsed = read(body.encode(), families)

    assert parsed.kind is AnswerKind.BUSINESS
    assert (parsed.client_reference, parsed.seq_no, parsed.entry_id) == ("C-1", "I20260000000000001", "")
    assert (parsed.code, parsed.status, parsed.note) == ("L", CustomsStatus.STORED, "入库成功")


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("0", AnswerKind.TECHNICAL, CustomsStatus.IMPORTED),
        ("1", AnswerKind.TECHNICAL, CustomsStatus.REFUSED),
        ("-9", AnswerKind.TECHNICAL, CustomsStatus.REFUSED),
    ],
)
def test_a_technical_answer_says_whether_it_was_imported(
    families: Families, code: str, kind: AnswerKind, status: CustomsStatus
) -> None:
    body = (
        '<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec">'
        f"<ResponseCode>{code}</ResponseCode><ErrorMessage>文本</ErrorMessage><ClientSeqNo>C-1</ClientSeqNo>"
        "<SeqNo>I20260000000000001</SeqNo><TrnPreId/></DecImportResponse>"
    )

    parsed = read(body.encode(), families)

    assert (parsed.kind, parsed.code, parsed.status, parsed.note) == (kind, code, status, "文本")
    assert (parsed.client_reference, parsed.seq_no, parsed.at) == ("C-1", "I20260000000000001", None)


def test_a_failure_of_the_import_client_is_a_refusal(families: Families) -> None:
    body = (
        "<Root><resultFlag><Type>1</Type><Value>-1</Value></resultFlag><failCode version='1'>C134</failCode>"
        '<failInfo><![CDATA[["读卡器错误 50200"]]]></failInfo><retData/></Root>'
    )

    parsed = read(body.encode(), families)

    assert (parsed.kind, parsed.refused, parsed.code) == (AnswerKind.FAILURE, True, "C134")
    assert parsed.note == '["读卡器错误 50200"]'


def test_an_unknown_code_is_read_as_it_is(families: Families) -> None:
    parsed = read(dec_result(CUS_CIQ_NO="I20260000000000001", CHANNEL="l").encode(), families)

    assert (parsed.code, parsed.status) == ("l", None)


def test_a_unified_number_in_the_place_of_the_entry_number_is_none(families: Families) -> None:
    number = "I20260000000000001"

    assert read(dec_result(CUS_CIQ_NO=number, ENTRY_ID=number, CHANNEL="7").encode(), families).entry_id == ""


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T00:05:06", datetime(2026, 11, 22, 16, 5, 6, tzinfo=UTC)),
        ("2026-11-23T00:05:06Z", datetime(2026, 11, 23, 0, 5, 6, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-12:00", None),
    ],
)
def test_a_time_without_zone_is_chinas(families: Families, text: str, at: datetime | None) -> None:
    assert read(dec_result(CHANNEL="L", NOTICE_DATE=text).encode(), families).at == at


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.XML_MALFORMED),
        (b"<DEC_RESULT><CHANNEL>L</DEC_RESULT>", Fault.XML_MALFORMED),
        (b"<!DOCTYPE a><DEC_RESULT><CHANNEL>L</CHANNEL></DEC_RESULT>", Fault.XML_DTD),
        (b"<dec_result><CHANNEL>L</CHANNEL></dec_result>", Fault.FAMILY_UNKNOWN),
        (b'<DecMessage xmlns="http://www.chinaport.gov.cn/dec"/>', Fault.FAMILY_UNKNOWN),
        (b"<DEC_RESULT><CHANNEL> </CHANNEL></DEC_RESULT>", Fault.SCHEMA_MISSING),
        (b'<DecImportResponse xmlns="http://www.chinaport.gov.cn/dec"/>', Fault.SCHEMA_MISSING),
    ],
)
def test_a_document_that_is_no_answer_is_refused(families: Families, body: bytes, fault: Fault) -> None:
    with pytest.raises(MessageRejected) as refused:
        read(body, families)

    assert [finding.code for finding in refused.value.findings] == [fault.code]


def notice(channel: str) -> CustomsAnswer:
    return replace(BUSINESS, code=channel, status=CHANNELS.status(channel))


def after(declaration: AnsweredDeclaration, parsed: CustomsAnswer) -> AnsweredDeclaration:
    """The target once the answer was written, as the store does it."""
    effect = decide(parsed, declaration, b"", Policy(), AT)
    return replace(
        declaration,
        state=advance(declaration.state, effect.event),
        customs_status=effect.customs_status,
        seq_no=effect.seq_no,
        entry_id=effect.entry_id,
    )


def test_every_order_of_the_answers_and_every_repetition_ends_the_same() -> None:
    course = (TECHNICAL, notice("L"), notice("J"), notice("P"), notice("R"))
    for order in permutations(course):
        declaration = TARGET
        for parsed in (*order, *order[:2]):
            declaration = after(declaration, parsed)
        assert declaration == replace(
            TARGET,
            state=State.CLOSED,
            customs_status=CustomsStatus.CLOSED,
            seq_no="I20260000000000001",
            entry_id="224820261000000001",
        )


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DELIVERED, State.CLOSED])
@pytest.mark.parametrize("channel", CHANNELS.statuses)
def test_every_code_of_customs_has_its_place_in_the_states(state: State, channel: str) -> None:
    before = replace(TARGET, state=state)

    declaration = after(before, notice(channel))

    assert declaration.customs_status.rank >= before.customs_status.rank
    assert (declaration.state is State.CLOSED) == (declaration.customs_status.final or state is State.CLOSED)


def test_an_unknown_code_is_relayed_and_changes_nothing() -> None:
    before = replace(TARGET, customs_status=CustomsStatus.REVIEWED)

    effect = decide(notice("%"), before, b"<DEC_RESULT/>", Policy(), AT)

    assert effect.event is Event.ANSWERED
    assert effect.customs_status is CustomsStatus.REVIEWED
    assert [receipt.body for receipt in effect.receipts] == [b"<DEC_RESULT/>"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("7", CustomsStatus.IMPORTED),
        ("L", CustomsStatus.STORED),
        ("J", CustomsStatus.REVIEWED),
        ("C", CustomsStatus.INSPECTION),
        ("c", None),
        ("D", CustomsStatus.DELETED),
        ("d", None),
        ("T", CustomsStatus.DUTY_DUE),
        ("P", CustomsStatus.RELEASED),
        ("K", CustomsStatus.RELEASED),
        ("R", CustomsStatus.CLOSED),
        ("E", CustomsStatus.REFUSED),
        ("Z", CustomsStatus.REFUSED),
        ("N", CustomsStatus.REFUSED),
        ("Y", CustomsStatus.REFUSED),
        ("U", CustomsStatus.REFUSED),
        ("H", None),
        ("l", None),
        ("Sp1", CustomsStatus.SUPPLEMENT_ASKED),
        ("SPK", None),
    ],
)
def test_codes_mean_what_customs_means_by_them_letter_case_included(
    code: str, status: CustomsStatus | None
) -> None:
    assert CHANNELS.status(code) is status


def test_any_response_code_but_0_is_a_refusal() -> None:
    codes = CustomsCodes.read((CODES / "response_code.csv").read_text(encoding="utf-8"))

    assert codes.status("0") is CustomsStatus.IMPORTED
    assert codes.status("1") is codes.status("00") is codes.status("-1") is CustomsStatus.REFUSED


def test_a_list_with_a_code_twice_or_an_unknown_status_is_not_loaded() -> None:
    with pytest.raises(ValueError, match="twice"):
        CustomsCodes.read("code,customs_status\nL,stored\nL,closed\n")
    with pytest.raises(ValueError, match="relaesed"):
        CustomsCodes.read("code,customs_status\nP,relaesed\n")


def test_a_save_is_finished_when_it_is_imported() -> None:
    effect = decide(TECHNICAL, replace(TARGET, operation=Operation.SAVE), b"", Policy(), AT)

    assert effect.event is Event.SETTLED
    assert effect.customs_status is CustomsStatus.IMPORTED


def test_a_declaration_is_not_finished_when_it_is_imported() -> None:
    effect = decide(TECHNICAL, TARGET, b"", Policy(), AT)

    assert effect.event is Event.ANSWERED
    assert effect.customs_status is CustomsStatus.IMPORTED


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("kind", [AnswerKind.TECHNICAL, AnswerKind.FAILURE])
def test_a_failed_import_finishes_the_message_as_refused(operation: Operation, kind: AnswerKind) -> None:
    failed = replace(TECHNICAL, kind=kind, status=CustomsStatus.REFUSED, seq_no="", code="1")

    effect = decide(failed, replace(TARGET, operation=operation), b"", Policy(), AT)

    assert effect.event is Event.SETTLED
    assert effect.customs_status is CustomsStatus.REFUSED


def test_an_entry_deleted_after_it_was_closed_is_deleted() -> None:
    closed = replace(TARGET, state=State.CLOSED, customs_status=CustomsStatus.CLOSED)

    assert decide(notice("D"), closed, b"", Policy(), AT).customs_status is CustomsStatus.DELETED


def test_numbers_once_known_are_not_lost_to_an_answer_without_them() -> None:
    numbered = replace(TARGET, seq_no="I20260000000000001", entry_id="224820261000000001")

    effect = decide(replace(BUSINESS, seq_no="", entry_id=""), numbered, b"", Policy(), AT)

    assert (effect.seq_no, effect.entry_id) == (numbered.seq_no, numbered.entry_id)


@pytest.mark.parametrize(
    ("parsed", "kind", "prefix"),
    [
        (TECHNICAL, ReceiptKind.TECHNICAL, "Successed"),
        (replace(TECHNICAL, status=CustomsStatus.REFUSED), ReceiptKind.TECHNICAL, "Failed"),
        (
            replace(TECHNICAL, kind=AnswerKind.FAILURE, status=CustomsStatus.REFUSED),
            ReceiptKind.TECHNICAL,
            "Failed",
        ),
        (notice("P"), ReceiptKind.BUSINESS, "Receipt"),
        (notice("E"), ReceiptKind.BUSINESS, "Receipt"),
    ],
)
def test_an_answer_is_relayed_byte_for_byte_under_the_name_that_broker_software_expects(
    parsed: CustomsAnswer, kind: ReceiptKind, prefix: str
) -> None:
    body = b"\xef\xbb\xbf<x >\r\n</x>"

    assert decide(parsed, TARGET, body, Policy(), AT).receipts == (
        Receipt(account="broker-aa", name=f"{prefix}_报关单_202611240005061234560.xml", kind=kind, body=body),
    )


@pytest.mark.parametrize(
    ("file_name", "base"),
    [
        ("a.zip", "a"),
        ("a.XML", "a"),
        ("a.zip.xml", "a.zip"),
        ("a.b", "a.b"),
        ("a", "a"),
        ("a.xml.1", "a.xml.1"),
    ],
)
def test_a_receipt_bears_the_name_of_the_file_without_its_extension(file_name: str, base: str) -> None:
    assert receipt_name("Receipt", file_name, AT) == f"Receipt_{base}_202611240005061234560.xml"


def test_a_receipt_can_be_saved_on_windows_whatever_the_file_is_called() -> None:
    for character in map(chr, range(0x20, 0x7F)):
        name = receipt_name("Receipt", f"报关单{character}1.xml", AT)
        assert not set(name) & set('<>:"/\\|?*'), name
        assert (character in name) is (character not in '<>:"/\\|?*'), name


def test_receipts_a_microsecond_apart_have_different_names() -> None:
    later = AT.replace(microsecond=123457)

    assert receipt_name("Receipt", "a.zip", AT) < receipt_name("Receipt", "a.zip", later)
