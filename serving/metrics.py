"""What Prometheus is told. Labels are routes, states and stages: never a person's or a tenant's.

What requests used is counted once for each that is settled, from its account in the ledger: in
whole numbers, so that the sums are the ledger's to the last unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fusion import Account
from serving.packet import JobPacket

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """A registry of its own, so that two servers in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept = self.registry
        self._requests = Counter(
            "limner_http_requests",
            "Requests answered",
            ["route", "method", "status"],
            registry=kept,
        )
        self._seconds = Histogram(
            "limner_http_seconds", "Time to the end of the answer", ["route"], buckets=_SECONDS,
            registry=kept,
        )  # fmt: skip
        self._jobs = Counter("limner_jobs", "Jobs that ended", ["state"], registry=kept)
        self._job_seconds = Histogram(
            "limner_job_seconds", "Time from acceptance to the end", buckets=_SECONDS, registry=kept
        )
        self._stage_seconds = Counter(
            "limner_stage_seconds", "Time spent in a stage", ["stage"], registry=kept
        )
        self._pictures = Counter("limner_pictures", "Pictures drawn", registry=kept)
        self._evaluations = Counter(
            "limner_denoiser_evaluations", "Pictures through the denoiser", ["depth"], registry=kept
        )
        self._positions = Counter(
            "limner_text_positions", "Positions of the text encoder", ["how"], registry=kept
        )
        self._projections = Counter(
            "limner_projections", "Keys and values made of words and faces", ["how"], registry=kept
        )
        self._tokens = Counter(
            "limner_tokens", "Of prompts, and of the same wishes in ordinary words", ["of"],
            registry=kept,
        )  # fmt: skip
        self._denoiser = Counter(
            "limner_denoiser_nanoseconds", "Of the denoiser's time", registry=kept
        )
        self._cost = Counter(
            "limner_cost_nano", "Billionths of the currency", ["currency"], registry=kept
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered, or its client left (499)."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def job_ended(self, packet: JobPacket, seconds: float) -> None:
        """A job came to its end."""
        self._jobs.labels(packet.state.value).inc()
        self._job_seconds.observe(seconds)
        for record in packet.task.trace.records:
            self._stage_seconds.labels(record.stage.value).inc(max(record.seconds, 0.0))

    def settled(self, account: Account) -> None:
        """A request was settled in the ledger."""
        used = account.quantity
        self._pictures.inc(used("images"))
        self._tokens.labels("prompt").inc(used("tokens"))
        self._tokens.labels("ordinary").inc(used("baseline_tokens"))
        self._evaluations.labels("whole").inc(used("denoiser_evaluations"))
        self._evaluations.labels("shallow").inc(used("shallow_evaluations"))
        self._denoiser.inc(used("denoiser_time"))
        for how in ("computed", "reused"):
            self._positions.labels(how).inc(used(f"positions_{how}"))
            self._projections.labels(how).inc(used(f"projections_{how}"))
        self._cost.labels(account.currency).inc(account.cost)

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is looked at when it is asked for."""
        self.registry.register(_Watched(name, help_text, value))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class _Watched(Collector):
    def __init__(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        self._name, self._help, self._value = name, help_text, value

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._help)
        family.add_metric([], self._value())
        yield family
