"""What people read in Chinese: times as China has them, sizes with their unit, and no word of ours in it."""

from datetime import UTC, datetime

import pytest

from gateway.awaited import awaited
from gateway.china import moment_zh
from gateway.fault_catalogue import Fault
from gateway.faults import in_bytes, too_large

FOUR_IN_THE_NIGHT = datetime(2026, 12, 2, 4, 10, tzinfo=UTC)


def test_a_time_in_chinese_is_that_of_beijing_and_says_so() -> None:
    assert moment_zh(FOUR_IN_THE_NIGHT) == "北京时间2026年12月2日12:10"


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("agreement 2026000001", "正在等待委托协议 2026000001，最迟至北京时间2026年12月2日12:10；到达后自动继续，请勿重发。"),
        ("document 1207980011 x.pdf", "正在等待随附单据 x.pdf，最迟"),
        ("declaration 1207980011 x.pdf", "正在等待列明 x.pdf 的报关单，最迟"),
        ("mandate 1 2", "正在等待境内收发货人 1 与申报单位 2 之间的代理报关委托书，最迟"),
    ],
)  # fmt: skip
def test_what_is_awaited_is_named_as_the_trade_names_it(thing: str, said: str) -> None:
    assert awaited(thing, FOUR_IN_THE_NIGHT).zh.startswith(said)


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 字节"), (1023, "1023 字节"), (400 * 1024, "400 KB"), (600 << 20, "600 MB"), ((512 << 20) + 1, "512.01 MB")],
)  # fmt: skip
def test_a_number_of_bytes_has_a_unit_and_is_never_rounded_down_to_its_limit(count: int, said: str) -> None:
    assert in_bytes(count) == said


def test_what_is_too_large_is_told_with_both_sizes() -> None:
    found = too_large(Fault.PACKAGE_TOO_LARGE, 600 << 20, 512 << 20)
    assert "（600 MB，上限 512 MB）" in found.zh
