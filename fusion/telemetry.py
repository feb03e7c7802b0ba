"""What settled requests used, as OpenTelemetry counters, where a collector is configured.

Tokens are called as the semantic conventions for generative AI call them (in development as this is
written: https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai); all that the
ledger counts is told as `limner.usage.ITEM`, what it costs as `limner.cost`. No attribute names a
tenant, a key or a person.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fusion.ledger.accounts import Account
from fusion.ledger.items import ITEMS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

_log = logging.getLogger("limner.telemetry")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_CLOSE_MILLISECONDS: Final = 5_000
_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.input_tokens"


class UsageTelemetry:
    """Counts accounts, each once. Safe to share between threads."""

    def __init__(self, provider: MeterProvider, model: str) -> None:
        """provider: ours from now on; model: the bundle's name."""
        self._provider = provider
        meter = provider.get_meter("limner")
        self._attributes: Mapping[str, str] = {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "limner",
            "gen_ai.request.model": model,
        }
        self._tokens = meter.create_counter(_INPUT_TOKENS, "{token}", "Tokens of prompts")
        self._items = {
            item.name: meter.create_counter(
                f"limner.usage.{item.name}", f"{{{item.unit}}}", "As the ledger counts it"
            )
            for item in ITEMS.values()
            if not item.peak  # the largest of many is no sum
        }
        self._cost = meter.create_counter(
            "limner.cost", "{nano}", "Billionths of the currency (limner.currency)"
        )

    def settled(self, account: Account) -> None:
        """A request was settled."""
        shared = self._attributes
        for line in account.lines:
            if line.item in self._items:
                self._items[line.item].add(line.quantity, shared)
            if line.item == "tokens":
                self._tokens.add(line.quantity, {**shared, "gen_ai.token.modality": "text"})
        self._cost.add(account.cost, {**shared, "limner.currency": account.currency})

    def flush(self) -> None:
        """Send what was counted so far."""
        self._provider.force_flush(_CLOSE_MILLISECONDS)

    def close(self) -> None:
        """Send what was counted last, and end."""
        self._provider.shutdown(_CLOSE_MILLISECONDS)


def usage_telemetry(model: str) -> UsageTelemetry | None:
    """Counters that go where OTEL_EXPORTER_OTLP_ENDPOINT says, as OTLP over HTTP; None without one.
    The other variables of OpenTelemetry's SDK hold too. model: the bundle's name.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
    except ImportError:
        _log.warning(
            "a collector is configured, and the extra is missing: pip install limner[otel]"
        )
        return None
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    named = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or "limner"})
    return UsageTelemetry(MeterProvider([reader], named), model)
