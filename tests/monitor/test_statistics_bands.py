"""Figures by customs office, broker and trader class, and bands beyond which a warning opens (R17)."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.store.read.office_stats import office_statistics
from gateway.model.band_policy import BandPolicy, MonitoringPolicy
from gateway.model.states import CustomsStatus, Event, State
from gateway.monitor.statistics_bands import Band, Figure, bands, warnings
from tests.support.declarations import owing_nothing
from tests.support.harness import NOW, Harness
from tests.support.rendering import render


def figure(office: str = "0200", broker: str = "1207980011", class_: str = "AA", **counts: int) -> Figure:
    return Figure(office=office, broker=broker, trader_class=class_, counts=counts)


def named(groups: tuple[Band, ...], by: str, name: str) -> Band:
    (band,) = [group for group in groups if (group.by, group.name) == (by, name)]
    return band


def test_figures_add_up_by_each_of_the_three() -> None:
    by_group = bands(
        [figure(accepted=3, released=2), figure(office="2200", class_="B", accepted=1, rejected=1)],
        MonitoringPolicy(),
    )
    assert [(band.by, band.name) for band in by_group] == [
        ("office", "0200"),
        ("office", "2200"),
        ("broker", "1207980011"),
        ("trader_class", "AA"),
        ("trader_class", "B"),
    ]
    assert named(by_group, "broker", "1207980011").counts == {
        "accepted": 4,
        "rejected": 1,
        "inspected": 0,
        "refused": 0,
        "released": 2,
    }
    assert dict(named(by_group, "office", "2200").shares)["rejected"].value == 0.5


def test_a_share_outside_its_band_warns_once_there_are_enough_declarations() -> None:
    policy = MonitoringPolicy(minimum=10, rejected=(0.0, 0.2))
    assert warnings(bands([figure(accepted=5, rejected=4)], policy)) == []
    warned = warnings(bands([figure(accepted=7, rejected=3)], policy))
    assert [warning.key for warning in warned] == [
        "band:office:0200:rejected",
        "band:broker:1207980011:rejected",
        "band:trader_class:AA:rejected",
    ]
    assert "30.0%" in warned[0].en
    assert "0200" in warned[0].zh


def test_a_share_below_its_band_warns_too() -> None:
    policy = MonitoringPolicy(minimum=10, inspected=(0.05, 0.3))
    assert [warning.key for warning in warnings(bands([figure(accepted=20)], policy))][:1] == [
        "band:office:0200:inspected"
    ]
    assert warnings(bands([figure(accepted=20, inspected=1)], policy)) == []


def test_an_office_may_have_a_band_of_its_own() -> None:
    policy = MonitoringPolicy(minimum=1, office={"0200": BandPolicy(rejected=(0.0, 1.0))})
    by_group = bands([figure(rejected=9), figure(office="2200", rejected=9)], policy)
    keys = {warning.key for warning in warnings(by_group)}
    assert "band:office:0200:rejected" not in keys
    assert "band:office:2200:rejected" in keys


def test_a_band_goes_from_its_lowest_to_its_highest_share() -> None:
    with pytest.raises(ValidationError):
        MonitoringPolicy(rejected=(0.5, 0.1))
    with pytest.raises(ValidationError):
        BandPolicy(refused=(0.5, 0.1))


def customs_inspects(harness: Harness, message: str) -> None:
    """The event of an answer whose code means inspection, as the store writes it."""
    (code, kind) = next(
        (code, type_.answer.kind)
        for type_ in harness.rules.families.types
        if type_.answer is not None
        for code, status in type_.answer.codes.statuses.items()
        if status is CustomsStatus.INSPECTION
    )
    harness.database.submit(
        lambda to: to.log(
            message, NOW, Event.ANSWERED, "customs", State.DELIVERED, kind=kind, code=code, note="x"
        )
    ).result()


def test_figures_are_counted_from_the_store(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        good = owing_nothing("FIGURES00000000001")
        harness.judged("broker-aa", "good.xml", render(good))
        opened = harness.judged("broker-aa", "again.xml", render(owing_nothing("FIGURES00000000002")))
        for _time in range(2):  # however often customs says it
            customs_inspects(harness, opened.message)
        bad = render(owing_nothing("FIGURES00000000003")).replace(b"<TradeMode>", b"<TradeMode>99", 1)
        harness.judged("broker-aa", "bad.xml", bad)
        harness.judged("broker-aa", "no.xml", b"<nothing/>")
        with harness.database.engine.connect() as reader:
            now = NOW + timedelta(minutes=1)
            (figures,) = office_statistics(reader, NOW, now, harness.rules.families)
            assert office_statistics(reader, now, now, harness.rules.families) == []
    assert (figures.office, figures.broker) == ("0202", "1207980011")
    assert figures.trader_class
    assert dict(figures.counts) == {"accepted": 2, "rejected": 1, "inspected": 1}
