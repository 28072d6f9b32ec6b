"""Documents made to be slow, within every limit of size: they are judged or refused in bounded time."""

from collections.abc import Callable
from time import process_time
from typing import Final

import pytest

from gateway.formats import xml
from gateway.model.faults import MessageRejected
from tests.judge.rule_cases import FILES, everything
from tests.support.validating import file, findings, written

# Five times what the slowest takes; without their bounds these took from ten seconds to minutes.
_SECONDS: Final = 10.0

_STRANGE: Final = (
    "<DecList><TradeCurr>QQQ</TradeCurr><OriginCountry>QQQ</OriginCountry>"
    "<DestinationCountry>QQQ</DestinationCountry></DecList>"
)
_PDFS: Final = tuple(file(f"{number}.pdf") for number in range(199))


def _before(element: str, markup: str) -> bytes:
    """A declaration that is sound but for `markup` before the first such element."""
    text = written(everything()).decode()
    assert element in text
    return text.replace(element, markup + element, 1).encode()


def _lists(name: str, item: str, count: int) -> str:
    return f"<{name}>{item * 1000}</{name}>" * count


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda: _before("<DecHead>", _lists("DecLists", _STRANGE, 24)),
            id="blocks of lines repeated, no code of which is known",
        ),
        pytest.param(
            lambda: _before("<DecGoodsLimit>", "<DecGoodsLimit/>" * 90_000),
            id="two rules that fail at every one of very many elements",
        ),
        pytest.param(
            lambda: _before(
                "<DecHead>",
                _lists("TrnContainers", "<TrnContainer><ContaNo>A</ContaNo></TrnContainer>", 20)
                + _lists("TrnContaGoodsList", "<TrnContaGoods><ContaNo>B</ContaNo></TrnContaGoods>", 20),
            ),
            id="every container looked for among all",
        ),
        pytest.param(
            lambda: _before(
                "<EdocRealation>",
                "<EdocRealation><EdocID>X</EdocID><EdocCode>00000001</EdocCode>"
                "<EdocFomatType>US</EdocFomatType></EdocRealation>" * 1900,
            ),
            id="every listed document looked for among all files",
        ),
    ],
)
def test_the_rules_of_a_document_of_any_shape_end_soon(make: Callable[[], bytes]) -> None:
    document = make()
    began = process_time()
    assert findings(document, *FILES, *_PDFS)
    assert process_time() - began < _SECONDS


@pytest.mark.parametrize(
    "markup",
    ["<a/>" * 100_000, ("<a " + " ".join(f'a{n}=""' for n in range(50)) + "/>") * 2_001],
    ids=["elements", "attributes"],
)
def test_a_document_with_more_elements_or_attributes_than_any_declaration_is_refused(markup: str) -> None:
    with pytest.raises(MessageRejected) as refused:
        xml.parse(f"<r>{markup}</r>".encode())
    assert [finding.code for finding in refused.value.findings] == ["xml-elements"]


def test_signs_in_texts_are_not_counted_as_elements_or_attributes() -> None:
    root = xml.parse(f"<r a='{'=' * 100_001}'><![CDATA[{'<' * 100_001}]]></r>".encode())
    assert len(root.text or "") == 100_001
