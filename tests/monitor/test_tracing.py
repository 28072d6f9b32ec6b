"""The way of a message as a trace: exported by OTLP/HTTP to a receiver that reads the protobuf."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from adapters.backends.amqp_exchange import ZIP, submission
from adapters.channels.amqp.validation import validate
from adapters.monitor.tracing import Tracer
from gateway.model.message import Arrival, new_id, number_of
from gateway.model.trace_context import TRACEPARENT
from tests.support.declarations import owing_nothing
from tests.support.raw_amqp import Properties, content_header, field, table
from tests.support.receivers import Posts, http_receiver
from tests.support.rendering import render
from tests.support.served import ROOT, Gateway
from tests.transport.test_doubling_wire import ACCOUNT, MOST, delivered


def test_the_number_of_an_id_is_the_one_that_it_was_made_of() -> None:
    now = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    made = new_id(now, bytes(range(10)))
    assert number_of(made) == int(now.timestamp() * 1000) << 80 | int.from_bytes(bytes(range(10)), "big")


def spans(posts: Posts) -> list[Span]:
    collected = []
    for post in posts.taken:
        request = ExportTraceServiceRequest()
        request.ParseFromString(post.body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                collected.extend(scope.spans)
    return collected


def attributes(span: Span) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


def test_the_processing_of_a_message_is_one_trace_without_its_content(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with http_receiver() as posts:
        with (gateway.home.path / "gateway.toml").open("a") as file:
            file.write(f'\n[tracing]\nendpoint = "{posts.url}/v1/traces"\n')
        with gateway:
            gateway.send("broker-aa", "traced.xml", render(owing_nothing("TRACED00000000001")))
            whole = {"receive", "judge", "deliver", "answer"}
            gateway.until(lambda: whole <= {span.name for span in spans(posts)})
            assert gateway.stop() == 0
    all_spans = spans(posts)
    assert {post.path for post in posts.taken} == {"/v1/traces"}
    (root,) = [span for span in all_spans if span.name == "receive"]
    message = attributes(root)["gateway.message"]
    assert int.from_bytes(root.trace_id, "big") == number_of(message)
    for span in all_spans:
        assert attributes(span)["gateway.message"] == message
        assert span.trace_id == root.trace_id
        assert (span.parent_span_id == b"") == (span is root)
        assert span is root or span.parent_span_id == root.span_id
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    (judged,) = [span for span in all_spans if span.name == "judge"]
    assert attributes(judged)["gateway.state"] == "accepted"
    stages = [event.name for event in judged.events]
    assert stages == [
        *("unpack", "validate", "verify", "authorise", "assess", "admit", "agency"),
        *("route", "sign", "receipt"),
    ]
    times = [event.time_unix_nano for event in judged.events]
    assert times == sorted(times)
    exported = b"".join(post.body for post in posts.taken)
    assert b"TRACED00000000001" not in exported


WITHOUT_EXTRA = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["gateway", "serve", "--home", sys.argv[1]]
import cli
cli.app()
"""


def test_missing_tracing_support_is_reported_at_the_start_with_the_name_of_the_extra(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with (gateway.home.path / "gateway.toml").open("a") as file:
        file.write('\n[tracing]\nendpoint = "http://127.0.0.1:1/v1/traces"\n')
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, str(gateway.home.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "customs-edi-gateway[tracing]" in ended.stderr


def test_nothing_of_opentelemetry_is_loaded_without_traces() -> None:
    script = "import sys, cli; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


SENDERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("header", "joined"),
    [
        (SENDERS, True),
        (SENDERS.upper(), False),
        (SENDERS.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), False),
        (SENDERS.replace("b7ad6b7169203331", "0" * 16), False),
        ("", False),
        ("00-x", False),
        (17, False),
    ],
)
def test_the_senders_trace_is_joined_where_it_names_one(header: object, joined: bool) -> None:
    message = new_id(datetime(2026, 11, 2, tzinfo=UTC), bytes(range(10)))
    arrival = Arrival(
        id=message,
        account="broker-aa",
        channel="amqp",
        name="a.xml",
        sha256="00" * 32,
        size=1,
        received_at=datetime(2026, 11, 2, tzinfo=UTC),
        traceparent=header,  # type: ignore[arg-type]  # whatever a header holds
    )
    with http_receiver() as posts:
        tracer = Tracer(f"{posts.url}/v1/traces")
        tracer.received(arrival)
        tracer.close()
    (root,) = spans(posts)
    assert int.from_bytes(root.trace_id, "big") == number_of(message)
    links = [(link.trace_id.hex(), link.span_id.hex()) for link in root.links]
    assert links == ([("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")] if joined else [])
    # The same trace is handed on with what is submitted for it, a copy for a second office as well.
    for key in (message, f"{message}-0202"):
        submitted = submission(key, b"", ZIP).headers[TRACEPARENT]
        assert submitted == f"00-{root.trace_id.hex()}-{root.span_id.hex()}-01"


@pytest.mark.parametrize(("header", "expected"), [(SENDERS, SENDERS), ("00-x", ""), ("", "")])
def test_the_senders_trace_is_taken_from_the_header_of_its_message(header: str, expected: str) -> None:
    named = field(TRACEPARENT.encode(), b"S", len(header).to_bytes(4) + header.encode())
    properties = Properties(message_id=b"m", headers=table(named))
    message = delivered(content_header(properties, 4), b"<a/>")
    assert validate(message, ACCOUNT, MOST).traceparent == expected
