"""Why a TLS connection failed, from whatever a library raises."""

import ssl

import pytest

from adapters.transport.tls_trouble import OURS, certificate_trouble


def turned_down() -> ssl.SSLError:
    alert = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return alert


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_cycle_of_exception_causes_is_visited_once(link: str, length: int) -> None:
    ring = [ConnectionError(str(index)) for index in range(length)]
    for error, before in zip(ring, ring[1:] + ring[:1], strict=True):
        setattr(error, link, before)
    assert certificate_trouble(ring[0]) == ""


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_a_certificate_error_beside_a_ring_of_causes_is_reported(link: str) -> None:
    first, second, alert = ConnectionError("first"), ConnectionError("second"), turned_down()
    first.__cause__, second.__cause__ = second, first
    first.__context__ = alert
    setattr(alert, link, second)
    for begin in (first, second, alert):
        assert certificate_trouble(begin).startswith(OURS)
