"""Counters and timers of the process. Labels are states, stages, codes and names given by an operator: they
are few, and none comes from a message."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from gateway.model.decision import Decision
from gateway.model.delivery import Outcome, Outgoing
from gateway.model.message import Arrival, Received
from gateway.model.states import State

# Seconds. A stage takes fractions of a millisecond, a verdict some ten if the gateway is idle, minutes in a
# queue.
_STAGE: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_VERDICT: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_DELIVERY: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """An `Observer` that records metrics in `registry`, and when each loop last ran (`ticks`)."""

    def __init__(self) -> None:
        # Otherwise there are twice as many series, for a time that is the same for the process.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotations
        self.registry = CollectorRegistry()
        self.ticks: dict[str, datetime] = {}
        self._received = self._counter(
            "messages_received", "Messages acknowledged to their senders", "channel"
        )
        self._judged = self._counter("messages_judged", "Judgements committed", "state", "channel")
        self._faults = self._counter("faults", "Messages in which a fault or warning was found", "code")
        self._attempts = self._counter(
            "delivery_attempts", "Attempts to deliver to a back-end", "destination", "outcome"
        )
        self._answers = self._counter("answers", "Answers matched to their messages", "backend", "kind")
        self._stage = self._histogram("stage_seconds", "Time of a stage of judgement", _STAGE, "stage")
        self._verdict = self._histogram(
            "verdict_seconds", "From the receipt of a message to its first decision", _VERDICT
        )
        self._delivery = self._histogram(
            "delivery_seconds", "Time of an attempt to deliver", _DELIVERY, "destination"
        )
        built = Gauge("gateway_build_info", "The release that runs", ["version"], registry=self.registry)
        built.labels(version("customs-edi-gateway")).set(1)
        ProcessCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gateway_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"gateway_{name}", text, labels, buckets=buckets, registry=self.registry)

    def ticked(self, loop: str, now: datetime) -> None:
        self.ticks[loop] = now

    def received(self, arrival: Arrival) -> None:
        self._received.labels(arrival.channel).inc()

    def timed(self, message: str, stages: Sequence[tuple[str, float]]) -> None:
        for stage, seconds in stages:
            self._stage.labels(stage).observe(seconds)

    def judged(self, received: Received, decision: Decision, state: State, now: datetime) -> None:
        self._judged.labels(state.value, received.arrival.channel).inc()
        for code in {finding.code for finding in decision.findings}:
            self._faults.labels(code).inc()
        if not received.again:
            self._verdict.observe(max(0.0, (now - received.arrival.received_at).total_seconds()))

    def attempted(self, delivery: Outgoing, outcome: Outcome, since: datetime, now: datetime) -> None:
        destination = delivery.submission.destination
        self._attempts.labels(destination, outcome.value).inc()
        self._delivery.labels(destination).observe(max(0.0, (now - since).total_seconds()))

    def answered(self, message: str, backend: str, kind: str, now: datetime) -> None:
        self._answers.labels(backend, kind).inc()


def ages(ticks: Mapping[str, datetime], now: datetime) -> dict[str, float]:
    """Seconds since each loop began its last round."""
    return {loop: max(0.0, (now - at).total_seconds()) for loop, at in ticks.items()}
