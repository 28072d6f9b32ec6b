"""Traces each message (OpenTelemetry): received, judged with its stages, delivered, answered.

The trace id is the message's own id, as the 128-bit number that a ULID is, so that each can be found from the
other, and spans after a restart join those from before. Spans carry ids, states, codes and names of
back-ends; nothing of a message's content. They are exported in the background, and dropped if the collector
cannot keep up.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from gateway.model.decision import Decision
from gateway.model.delivery import Outcome, Outgoing
from gateway.model.faults import printable
from gateway.model.message import Arrival, Received, number_of
from gateway.model.states import State
from gateway.model.trace_context import parent_in, root_span

_EXPORT_SECONDS: Final = 10
_EVERY_MILLISECONDS: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


class Tracer:
    """An `Observer` that exports spans by OTLP/HTTP to `endpoint`. Used by one event loop."""

    def __init__(self, endpoint: str) -> None:
        _heard_in_our_log()
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "customs-edi-gateway"}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=_EVERY_MILLISECONDS)
        )
        self._tracer = self._provider.get_tracer("gateway")
        self._stages: dict[str, Sequence[tuple[str, float]]] = {}  # of judgements not committed yet

    def close(self) -> None:
        """Exports the remaining spans; returns when that is done or has failed."""
        self._provider.shutdown()

    def ticked(self, loop: str, now: datetime) -> None:
        pass  # not part of a message's trace

    def received(self, arrival: Arrival) -> None:
        """The root: all other spans of the message are its children. It is linked to the sender's span, if
        the message names one."""
        parent = parent_in(arrival.traceparent)
        self._ids.root = number_of(arrival.id)
        at = arrival.received_at
        shown = {"gateway.account": arrival.account, "gateway.channel": arrival.channel}
        span = self._tracer.start_span(
            "receive",
            kind=SpanKind.CONSUMER,
            start_time=_nanoseconds(at),
            attributes=_of(arrival.id, shown),
            links=[Link(_context(parent.trace, parent.span))] if parent else [],
        )
        span.end(_nanoseconds(at))
        self._ids.root = None

    def timed(self, message: str, stages: Sequence[tuple[str, float]]) -> None:
        self._stages[message] = stages

    def judged(self, received: Received, decision: Decision, state: State, now: datetime) -> None:
        message = received.arrival.id
        stages = self._stages.pop(message, ())
        began_at = now - timedelta(seconds=sum(seconds for _stage, seconds in stages))
        codes = sorted({finding.code for finding in decision.findings})
        shown = {"gateway.state": state.value, "gateway.faults": codes, "gateway.attempt": received.attempts}
        span = self._tracer.start_span(
            "judge",
            context=_under(message),
            start_time=_nanoseconds(began_at),
            attributes=_of(message, shown),
        )
        for stage, seconds in stages:
            began_at += timedelta(seconds=seconds)
            span.add_event(stage, {"seconds": seconds}, timestamp=_nanoseconds(began_at))
        span.end(_nanoseconds(now))

    def attempted(self, delivery: Outgoing, outcome: Outcome, since: datetime, now: datetime) -> None:
        shown = {"gateway.destination": delivery.submission.destination, "gateway.outcome": outcome.value}
        self._child("deliver", delivery.message, SpanKind.PRODUCER, since, now, shown)

    def answered(self, message: str, backend: str, kind: str, now: datetime) -> None:
        shown = {"gateway.destination": backend, "gateway.kind": kind}
        self._child("answer", message, SpanKind.CONSUMER, now, now, shown)

    def _child(
        self,
        name: str,
        message: str,
        kind: SpanKind,
        since: datetime,
        now: datetime,
        shown: Mapping[str, AttributeValue],
    ) -> None:
        span = self._tracer.start_span(
            name,
            context=_under(message),
            kind=kind,
            start_time=_nanoseconds(since),
            attributes=_of(message, shown),
        )
        span.end(_nanoseconds(now))


class _Ids(RandomIdGenerator):
    """Random ids, except for the root of a message's trace."""

    root: int | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.root is None else self.root

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.root is None else root_span(self.root)


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _under(message: str) -> Context:
    number = number_of(message)
    return set_span_in_context(NonRecordingSpan(_context(number, root_span(number))))


def _of(message: str, shown: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {"gateway.message": message, **shown}


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.warning("traces not exported", said=printable(record.getMessage(), 300))


def _heard_in_our_log() -> None:
    library = logging.getLogger("opentelemetry")
    library.setLevel(logging.WARNING)
    library.propagate = False
    if not library.handlers:
        library.addHandler(_Said())
