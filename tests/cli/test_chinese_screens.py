"""What operators see in Chinese: heads, states and sentences, and no word of ours among them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from adapters.cli import chinese
from adapters.cli.chinese_heads import HEADS
from adapters.cli.doctor import examine
from adapters.cli.output import Language, spoken
from adapters.store.apply import MATCHED
from adapters.store.tables.operations import alarms
from adapters.store.write.document_requests import REQUESTED
from adapters.store.write.receipt_actions import REMOVED
from gateway.model.agreements import STATES_ZH as AGREEMENT_STATES_ZH
from gateway.model.agreements import Act, AgreementKind, AgreementState
from gateway.model.circuit_breaker import BreakerState
from gateway.model.message import ReceiptKind
from gateway.model.reform import Due
from gateway.model.states import (
    CUSTOMS_STATUSES_ZH,
    DELIVERY_HELD,
    DELIVERY_REFUSED,
    DELIVERY_RESUMED,
    STATES_ZH,
    CustomsStatus,
    DeliveryState,
    Event,
    State,
)
from gateway.monitor.alarms import AlarmSeverity
from gateway.operate.bulk_requests import ItemOutcome, RequestStatus
from gateway.operate.receipts import RESTORED
from tests.support.association import agreement_document
from tests.support.declarations import Declaration, owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.operating import BROKER, NUMBER, gateway, refused
from tests.support.rendering import render

OPERATORS = Path(__file__).parents[2] / "adapters" / "cli"
# The words that scripts know: fields and states. Who acts may be called by one of them.
OURS = {
    *(name.replace("_", " ") for name in HEADS if name.islower()),
    *(
        str(member)
        for every in (State, CustomsStatus, DeliveryState, Event, Act, AgreementKind)
        for member in every
    ),
    *(
        str(member)
        for every in (AgreementState, AlarmSeverity, Due, RequestStatus, ItemOutcome, ReceiptKind)
        for member in every
    ),
    *("yes", "no", "none", "true", "false", "inbound", "answer", "open"),
} - {"gateway"}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """No test changes it."""
    with Harness.at(tmp_path_factory.mktemp("screens") / "home") as opened:
        refused(opened, "R1")
        opened.judged(
            BROKER, "R2.xml", render(Declaration(reference="R2", documents=(agreement_document(NUMBER),)))
        )
        opened.judged(BROKER, "R3.xml", render(owing_nothing("R3")))
        opened.judged(BROKER, "R4.xml", render(Declaration(reference="R4", head={"GrossWet": "1"})))
        with opened.database.engine.begin() as connection:
            values = {
                "zh": "磁盘剩余空间 3%，请清理或扩容",
                "en": "3% free",
                "opened_at": NOW,
                "seen_at": NOW,
            }
            connection.execute(insert(alarms).values(key="disk", severity=AlarmSeverity.CRITICAL, **values))
        yield opened


SCREENS = [
    ("messages", "list"),
    *(("messages", act, reference) for act in ("show", "trace") for reference in ("R1", "R2", "R3", "R4")),
    ("alarms", "list"),
    ("documents", "list"),
    ("documents", "show", "R3"),
    ("agreements", "list"),
    ("association", "list"),
    ("customs", "queue"),
    ("parties", "list"),
    ("parties", "show", BROKER),
    ("doctor",),
]


@pytest.mark.parametrize("screen", SCREENS, ids=" ".join)
def test_no_english_word_of_ours_stands_on_a_chinese_screen(
    harness: Harness, screen: tuple[str, ...]
) -> None:
    seen = gateway(harness, *screen, "--lang", "zh").out
    assert re.search("[\u4e00-\u9fff]", seen)
    cells = {cell for line in seen.splitlines() for cell in re.split(r"\s{2,}|[：；]", line)}
    assert cells & OURS == set()


@pytest.mark.parametrize("screen", SCREENS, ids=" ".join)
def test_scripts_get_the_same_in_any_language(harness: Harness, screen: tuple[str, ...]) -> None:
    outputs = [gateway(harness, *screen, "--json", "--lang", lang).json for lang in ("zh", "en")]
    assert outputs[0] == outputs[1]


def test_every_column_of_a_command_that_speaks_chinese_has_a_head() -> None:
    missing = {
        f"{path.name}: {name!r}"
        for path in OPERATORS.rglob("*.py")
        if "LangOption" in (text := path.read_text("utf-8")) and path.name not in ("output.py", "check.py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Tuple) and _is_columns(node)
        for name in (element.value for element in node.elts if isinstance(element, ast.Constant))
        if name not in HEADS
    }
    assert missing == set()


def _is_columns(node: ast.Tuple) -> bool:
    """A tuple of field names: at least three words of small letters, most of which are heads."""
    names = [element.value for element in node.elts if isinstance(element, ast.Constant)]
    words = [name for name in names if isinstance(name, str) and re.fullmatch("[a-z_]+", name)]
    return len(words) == len(node.elts) > 2 and sum(word in HEADS for word in words) * 2 > len(words)


@pytest.mark.parametrize(
    ("words", "every"),
    [
        (STATES_ZH, State),
        (CUSTOMS_STATUSES_ZH, CustomsStatus),
        (chinese.DELIVERY_STATES, DeliveryState),
        (chinese.EVENTS, Event),
        (chinese.BREAKERS, BreakerState),
        (chinese.SEVERITIES, AlarmSeverity),
        (chinese.AGREEMENT_ACTS, Act),
        (chinese.AGREEMENT_KINDS, AgreementKind),
        (AGREEMENT_STATES_ZH, AgreementState),
    ],
    ids=str,
)
def test_every_state_event_and_act_has_a_chinese_word(words: dict[str, str], every: type[State]) -> None:
    assert [member for member in every if member not in words] == []


def test_events_that_change_no_state_have_a_chinese_word_too() -> None:
    words = {MATCHED, REMOVED, REQUESTED, RESTORED, DELIVERY_HELD, DELIVERY_REFUSED, DELIVERY_RESUMED}
    assert words - {str(event) for event in chinese.EVENTS} == set()


def test_every_check_of_doctor_has_a_chinese_name_and_text(harness: Harness) -> None:
    for check in examine(harness.home, NOW):
        assert chinese.DOCTOR.words["check"](check["check"]) != check["check"]
        assert re.search("[\u4e00-\u9fff]", check["zh"]) or "SHA256" in check["zh"]


@pytest.mark.parametrize(
    ("environment", "lang"),
    [
        ({}, Language.EN),
        ({"LANG": "zh_CN.UTF-8"}, Language.ZH),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, Language.EN),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, Language.ZH),
        ({"LANG": "", "LC_ALL": ""}, Language.EN),
    ],
)
def test_commands_speak_the_language_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], lang: Language
) -> None:
    for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert spoken() is lang


def test_a_command_without_lang_speaks_it_too(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "已受理" in gateway(harness, "messages", "show", "R3").out
