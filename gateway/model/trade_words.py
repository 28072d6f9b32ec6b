"""Chinese names of customs codes, for sentences that mention them.

`tests/model/test_chinese.py` compares them with the lists that they are taken from.
"""

from collections.abc import Mapping
from typing import Final

DIRECTIONS_ZH: Final[Mapping[str, str]] = {"I": "进口", "E": "出口"}
TRANSPORTS_ZH: Final[Mapping[str, str]] = {
    "0": "非保税区",
    "1": "监管仓库",
    "2": "水路运输",
    "3": "铁路运输",
    "4": "公路运输",
    "5": "航空运输",
    "6": "邮件运输",
    "7": "保税区",
    "8": "保税仓库",
    "9": "其他方式运输",
    "G": "固定设施运输",
    "H": "边境特殊",
    "L": "旅客携带",
    "T": "综合实验区",
    "W": "物流中心",
    "X": "物流园区",
    "Y": "保税港区",
    "Z": "出口加工区",
}
# The most common currencies, by either of their codes.
CURRENCIES_ZH: Final[Mapping[str, str]] = {
    **dict.fromkeys(("142", "CNY"), "人民币"),
    **dict.fromkeys(("502", "USD"), "美元"),
    **dict.fromkeys(("300", "EUR"), "欧元"),
    **dict.fromkeys(("116", "JPY"), "日本元"),
    **dict.fromkeys(("110", "HKD"), "港币"),
    **dict.fromkeys(("303", "GBP"), "英镑"),
}


def called(names: Mapping[str, str], code: str, kind: str) -> str:
    """The name and the code; the kind and the code where there is no name here."""
    return f"{names[code]}（{code}）" if code in names else f"{kind} {code}"


def amount(value: object, currency: str) -> str:
    return f"{value} {CURRENCIES_ZH.get(currency, currency)}".rstrip()
