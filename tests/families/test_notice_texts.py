"""Every class of answer has its words in both languages, and nothing in them is left unfilled."""

from importlib import resources
from typing import Final

import pytest

from gateway.families.customs_codes import CustomsCodes
from gateway.families.notice_texts import OTHER, NoticeTexts, class_of
from gateway.model.states import CustomsStatus
from tests.support.validating import families

CODES: Final = CustomsCodes.read(
    resources.files("schemas").joinpath("cn-dec/1/codes/receipt_channel.csv").read_text("utf-8")
)
SOME: Final = {CustomsStatus.RELEASED}
GOOD: Final = """
[class.released]
zh = "已放行 $entry_id"
en = "released $entry_id"
[class.other]
zh = "回执 $code"
en = "answer $code"
[note]
zh = "说明：$note"
en = " Note: $note"
[premises.I]
zh = "提离 $bill_no"
en = "leaves $bill_no"
[premises.E]
zh = "装运 $bill_no"
en = "loads $bill_no"
"""


@pytest.mark.parametrize("code", [*CODES.statuses, "no-list-has-this"])
def test_every_code_of_customs_has_a_text_in_both_languages(code: str) -> None:
    texts = families().notices("cn-dec")
    assert texts is not None
    sentences = texts.of_answer(
        class_of(CODES.status(code)), entry_id="E-1", seq_no="S-1", reference="R-1", code=code, note="N-1"
    )
    assert list(sentences) == ["zh", "en"]
    for text in sentences.values():
        assert "R-1" in text
        assert "N-1" in text
        assert "$" not in text


def test_a_notice_to_premises_identifies_the_goods_and_says_whether_they_leave_or_are_loaded() -> None:
    texts = families().notices("cn-dec")
    assert texts is not None
    for direction, may in (("I", "准予提离"), ("E", "准予装运")):
        sentences = texts.of_release(
            direction=direction,
            entry_id="E-1",
            bill_no="B-1",
            packages="7",
            gross_weight="8.5",
            containers="",
        )
        assert list(sentences) == ["zh", "en"]
        assert all(value in text for text in sentences.values() for value in ("E-1", "B-1", "7", "8.5"))
        assert (may in sentences["zh"], "集装箱：无" in sentences["zh"]) == (True, True)


def test_a_missing_value_of_an_answer_is_a_dash() -> None:
    text = NoticeTexts.read(GOOD, SOME).of_answer(
        OTHER, entry_id="", seq_no="", reference="", code="", note=""
    )
    assert text == {"zh": "回执 –", "en": "answer –"}


def test_the_text_of_customs_is_not_treated_as_a_template() -> None:
    text = NoticeTexts.read(GOOD, SOME).of_answer(
        OTHER, entry_id="", seq_no="", reference="", code="$note", note="x"
    )
    assert text["en"] == "answer $note Note: x"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('en = "answer $code"', "", "en"),
        ('zh = "已放行 $entry_id"', 'zh = ""', "zh"),
        ("$bill_no", "$reference", "premises: nothing fills in reference"),
        ("answer $code", "answer $price", "class other: nothing fills in price"),
        ("answer $code", "answer $", "is no template"),
        ("[class.released]", "[class.relaesed]", "relaesed, released"),
        ("[class.other]", "[class.closed]", "closed, other"),
        ("[premises.E]", "[premise.E]", "premise"),
        ("[premises.E]", "[premises.X]", "premises"),
        ("说明：$note", "说明：$code", "note: nothing fills in code"),
    ],
)
def test_texts_that_are_not_whole_are_refused_when_they_are_loaded(old: str, new: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("$", r"\$")):
        NoticeTexts.read(GOOD.replace(old, new), SOME)
