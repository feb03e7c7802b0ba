"""What the ledger says of requests arrives at a collector, to the last unit, and nobody's name."""

from collections.abc import Iterator

import pytest

from fusion import Account, BookedLine, Ending, UsageTelemetry, usage_telemetry
from tests.otlp import Collector


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


@pytest.fixture
def telemetry(collector: Collector) -> Iterator[UsageTelemetry]:
    found = usage_telemetry("mini")
    assert found is not None
    yield found
    found.close()


def account(number: int, currency: str = "EUR") -> Account:
    lines = (
        BookedLine("reserved", 0, 99, 0),
        BookedLine("tokens", 0, 9 + number, 1_000_000_007),
        BookedLine("denoiser_time", 0, 123_456_789_012_345, 3),
        BookedLine("peak_memory_bytes", 0, 1 << 30, 0),
        BookedLine("tokens", 1, 2, 5),
        BookedLine("settled", 0, 1_000_000_010, 0),
    )
    return Account(f"secret-{number}", Ending.DONE, currency, "0" * 64, lines)


def test_counters_are_what_the_accounts_add_up_to(
    telemetry: UsageTelemetry, collector: Collector
) -> None:
    accounts = [account(number, currency) for number, currency in enumerate(("EUR", "EUR", "USD"))]
    for one in accounts:
        telemetry.settled(one)
    telemetry.flush()
    tokens = sum(one.quantity("tokens") for one in accounts)
    assert collector.value("limner.usage.tokens") == tokens
    assert collector.value("gen_ai.client.inference.usage.input_tokens") == tokens
    assert collector.value("limner.usage.denoiser_time") == 3 * 123_456_789_012_345
    assert collector.value("limner.cost", limner_currency="EUR") == 2 * accounts[0].cost
    assert collector.value("limner.cost", limner_currency="USD") == accounts[2].cost
    assert collector.services == {"limner"}


def test_attributes_are_those_of_the_conventions_and_name_nobody(
    telemetry: UsageTelemetry, collector: Collector
) -> None:
    telemetry.settled(account(1))
    telemetry.flush()
    shared = {
        ("gen_ai.operation.name", "generate_content"),
        ("gen_ai.provider.name", "limner"),
        ("gen_ai.request.model", "mini"),
    }
    told = dict(list(collector.counters))  # the newest attributes of each name
    assert told["gen_ai.client.inference.usage.input_tokens"] == shared | {
        ("gen_ai.token.modality", "text")
    }
    assert told["limner.cost"] == shared | {("limner.currency", "EUR")}
    assert told["limner.usage.tokens"] == shared
    assert "limner.usage.peak_memory_bytes" not in told, "the largest of many is no sum"
    assert "secret" not in repr(collector.counters)


def test_without_a_collector_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert usage_telemetry("mini") is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert usage_telemetry("mini") is None
