"""What monitoring sees of a served gateway: its metrics, and whether it is alive and ready."""

import json
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.cli.init.init import free_port
from tests.support.declarations import owing_nothing
from tests.support.rendering import render
from tests.support.served import ROOT, Gateway


class ObservedGateway(Gateway):
    """A served home whose metrics are listened for."""

    def observe(self, *more: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        lines = ("", "[metrics]", f"port = {self.address.partition(':')[2]}", *more, "")
        with (self.home.path / "gateway.toml").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines))

    def declare(self, reference: str) -> None:
        self.send("broker-aa", f"{reference}.xml", render(owing_nothing(reference)))

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def health(self, path: str) -> tuple[int, dict[str, str]]:
        """The status, and why not of each check that is not well."""
        status, body = self.get(path)
        checks = json.loads(body)["checks"]
        return status, {check["check"]: check["why"] for check in checks if not check["ok"]}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name with these labels."""
        status, body = self.get("/metrics")
        assert status == 200
        return sum(
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @contextmanager
    def store_taken(self) -> Iterator[None]:
        """Another process writes to the store and does not come to an end."""
        with closing(sqlite3.connect(self.home.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedGateway]:
    gateway = ObservedGateway(tmp_path_factory.mktemp("observed"))
    gateway.observe()
    with gateway:
        yield gateway


def test_the_steps_of_a_message_are_counted_and_timed(observed: ObservedGateway) -> None:
    before = observed.metric("gateway_messages_received_total", channel="sftp")
    observed.declare("COUNTED0000000001")
    observed.until(lambda: observed.metric("gateway_answers_total", backend="customs") > 0)
    assert observed.metric("gateway_messages_received_total", channel="sftp") == before + 1
    assert observed.metric("gateway_messages_judged_total", state="accepted") >= 1
    assert observed.metric("gateway_delivery_attempts_total", destination="customs", outcome="taken") >= 1
    assert observed.metric("gateway_verdict_seconds_count") >= 1
    for stage in ("unpack", "validate", "verify", "authorise", "assess", "admit", "agency", "route", "sign"):
        assert observed.metric("gateway_stage_seconds_count", stage=stage) >= 1, stage
    assert observed.metric("gateway_certificate_days_left", owner="gateway") > 0
    assert observed.metric("gateway_build_info") == 1


def test_deliveries_that_wait_for_a_back_end_are_counted_until_they_are_taken(
    observed: ObservedGateway,
) -> None:
    assert observed.cli("backends", "pause", "customs", "--reason", "maintenance").returncode == 0
    observed.until(lambda: observed.metric("gateway_backend_paused", backend="customs") == 1)
    observed.declare("WAITING0000000001")
    to_send = {"stage": "to_send", "of": "customs"}
    observed.until(lambda: observed.metric("gateway_queue_depth", **to_send) == 1)
    observed.until(lambda: observed.metric("gateway_queue_oldest_seconds", **to_send) > 0)
    assert observed.cli("backends", "resume", "customs", "--reason", "done").returncode == 0
    observed.until(lambda: observed.metric("gateway_queue_depth", **to_send) == 0)


def test_a_gateway_that_cannot_write_is_not_ready_until_it_can(observed: ObservedGateway) -> None:
    observed.until(lambda: observed.health("/readyz") == (200, {}))
    with observed.store_taken():
        status, why = observed.health("/readyz")
        assert (status, why) == (503, {"store write": "no commit within 3 s"})
        assert observed.health("/healthz") == (200, {})
    observed.until(lambda: observed.health("/readyz") == (200, {}))


def test_every_metric_is_described(observed: ObservedGateway) -> None:
    body = observed.get("/metrics")[1].decode()
    names = {
        family.name for family in text_string_to_metric_families(body) if family.name.startswith("gateway_")
    }
    assert len(names) > 15
    documented = (ROOT / "docs" / "for-operators.md").read_text("utf-8")
    for name in names:
        assert f"`{name}`" in documented or f"`{name}_total`" in documented, name


def test_only_the_three_pages_are_there(observed: ObservedGateway) -> None:
    for path in ("/", "/metrics/", "/metrics/x", "/readyz/..", "/favicon.ico"):
        assert observed.get(path)[0] == 404, path


def test_bytes_that_are_no_http_are_a_line_of_the_log_and_no_traceback(observed: ObservedGateway) -> None:
    host, _, port = observed.address.partition(":")
    with socket.create_connection((host, int(port)), 20) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHo st: secret-of-theirs\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.0 400")
    observed.until(lambda: '"library"' in observed.log.read_text("utf-8"))
    text = observed.log.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["library"], line["error"]) for line in lines if line["event"] == "library"] == [
        ("aiohttp.server", "BadHttpMessage")
    ]
    assert "secret-of-theirs" not in text
