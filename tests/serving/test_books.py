"""The books balance: answers, ledger, reports and counters say the same, to the last unit."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fusion import ITEMS, Account, Ending
from serving import Database, Scope
from serving.usage import usage_of
from tests.otlp import Collector
from tests.serving.conftest import Running, Start, accounts, as_file, ledger
from tests.serving.test_disconnect import wait_for

JOBS = 60


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


class Visitor:
    """A client of one tenant who asks for all sorts of things, and is not always patient."""

    def __init__(self, running: Running, tenant: str, chance: random.Random) -> None:
        from PIL import Image

        self.chance, self.client = chance, running.client(running.key_of(tenant))
        self.nobody = as_file(Image.new("RGB", (128, 128), "grey"))
        self.deleted = 0

    def wish(self, **more: object) -> dict[str, object]:
        """Something nobody has asked for before."""
        return {"attributes": {"age": self.chance.randrange(20, 80)}, "steps": 1,
                "seed": self.chance.randrange(2**60), "verify": False, **more}  # fmt: skip

    def draws(self) -> int:
        count = self.chance.choice([1, 1, 3])
        body = self.wish(count=count, output_format=self.chance.choice(["png", "jpeg"]))
        assert self.client.post("/v1/portraits", json=body).json()["status"] == "completed"
        return 1

    def draws_as_openai_does_and_asks_again(self) -> int:
        body = self.wish(prompt="a smiling man") | {"attributes": None}
        answers = [
            self.client.post(
                "/v1/images/generations", json=body, headers={"x-stainless-retry-count": tries}
            )
            for tries in ("0", "1", "2")
        ]
        assert {one.status_code for one in answers} == {200}
        assert len({one.json()["limner"]["id"] for one in answers}) == 1
        return 1

    def draws_a_batch_twice(self) -> int:
        headers = {"Idempotency-Key": f"batch-{self.chance.random()}"}
        body = {"requests": [self.wish() for _ in range(3)], "wait": True}
        first, again = (
            self.client.post("/v1/portrait-batches", json=body, headers=headers).json()["data"]
            for _ in range(2)
        )
        assert [one["usage"] for one in again] == [one["usage"] for one in first]
        return 3

    def shows_nobody(self) -> int:
        import base64

        nobody = {"image": base64.b64encode(self.nobody).decode()}
        answer = self.client.post("/v1/portraits", json=self.wish(identities=[nobody]))
        assert answer.status_code == 422, answer.text
        return 1

    def asks_for_what_cannot_be(self) -> int:
        assert self.client.post("/v1/portraits", json=self.wish(steps=0)).status_code == 400
        assert self.client.post("/v1/portraits", json={"size": "9x9"}).status_code == 400
        return 0

    def leaves_and_comes_back(self) -> int:
        body = self.wish(steps=40)
        with pytest.raises(httpx.TimeoutException):
            self.client.post("/v1/portraits", json=body, timeout=0.15)
        again = self.client.post(
            "/v1/portraits", json=body, headers={"x-stainless-retry-count": "1"}
        )
        assert again.status_code == 200, again.text
        return 1

    def stops_it(self) -> int:
        accepted = self.client.post("/v1/portraits", json=self.wish(steps=150, wait=False)).json()
        answer = self.client.delete(f"/v1/portraits/{accepted['id']}")
        assert answer.status_code == 200
        self.deleted += 1
        return 1

    def does_something(self) -> int:
        """How many requests it had accepted."""
        kinds = (
            self.draws, self.draws_as_openai_does_and_asks_again, self.draws_a_batch_twice,
            self.shows_nobody, self.asks_for_what_cannot_be, self.leaves_and_comes_back,
            self.stops_it,
        )  # fmt: skip
        return self.chance.choice(kinds)()


def sums(found: list[Account]) -> Counter[str]:
    """What accounts add up to, of all that can be added, and their cost."""
    total = Counter({"cost": sum(one.cost for one in found)})
    for one in found:
        for item in ITEMS.values():
            if not item.peak:
                total[item.name] += one.quantity(item.name)
    return +total


def told_by_prometheus(running: Running) -> Counter[str]:
    """Its counters, called as the ledger's items."""
    with running.client() as client:
        text = client.get("/metrics").text
    names = {
        "limner_pictures_total": "images",
        'limner_tokens_total{of="prompt"}': "tokens",
        'limner_tokens_total{of="ordinary"}': "baseline_tokens",
        'limner_denoiser_evaluations_total{depth="whole"}': "denoiser_evaluations",
        "limner_denoiser_nanoseconds_total": "denoiser_time",
        'limner_text_positions_total{how="computed"}': "positions_computed",
        'limner_text_positions_total{how="reused"}': "positions_reused",
        'limner_projections_total{how="computed"}': "projections_computed",
        'limner_projections_total{how="reused"}': "projections_reused",
        'limner_cost_nano_total{currency="EUR"}': "cost",
    }
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return +Counter({item: int(float(lines[name])) for name, item in names.items()})


def told_to(collector: Collector) -> Counter[str]:
    """What the collector was told."""
    told = {item: collector.value(f"limner.usage.{item}") for item in ITEMS}
    return +Counter({**told, "cost": collector.value("limner.cost", limner_currency="EUR")})


def reported(running: Running, tenant: str) -> Counter[str]:
    """What /v1/usage says to a tenant, all its groups added up; the same as its total."""
    with running.client(running.key_of(tenant, Scope.READ)) as client:
        by = ["key", "template", "ending", "day"]
        report = client.get("/v1/usage", params={"by": by}).json()
    added = [Counter[str](), Counter[str]()]
    for counter, rows in zip(added, (report["total"], report["groups"]), strict=True):
        for row in rows:
            counter.update({name: row["items"].get(name, 0) for name, item in ITEMS.items()
                            if not item.peak})  # fmt: skip
            counter["cost"] += in_nano(row["cost"])
            assert "open" not in row["requests"]
            assert row["reserved"] == "0"
    assert +added[0] == +added[1]
    return +added[0]


def in_nano(amount: str) -> int:
    """Nano-units of a decimal, without a float in between."""
    whole, _, part = amount.partition(".")
    assert re.fullmatch(r"\d*", part)
    return int(whole) * 10**9 + int(part.ljust(9, "0") or "0")


def test_answers_ledger_reports_and_counters_say_the_same(
    database_url: str, price_table: Path, collector: Collector, start_briefly: Start
) -> None:
    running = start_briefly(database=database_url, prices=price_table)
    chance = random.Random(8)
    visitors = [Visitor(running, tenant, chance) for tenant in ("ada", "bert")]
    asked = 0
    while asked < JOBS:
        asked += chance.choice(visitors).does_something()
    wait_for(lambda: not running.server.runner._live)
    with ledger(database_url) as opened:
        assert opened.verify().holds
        found = accounts(opened)
    by_id = {one.id: one for one in found}
    endings = Counter(one.ending for one in found)
    assert set(endings) == {Ending.DONE, Ending.FAILED, Ending.CANCELLED}
    assert None not in endings, "nothing is open"
    assert len({one.id.partition("/")[0] for one in found}) == asked, "a job each, whatever it met"

    shown = 0
    for visitor in visitors:
        jobs = visitor.client.get("/v1/portraits", params={"limit": 100}).json()["data"]
        visitor.client.close()
        shown += len(jobs)
        for job in jobs:
            takes = [one for one in found if one.id.partition("/")[0] == job["id"]]
            assert job["usage"] == usage_of(takes[-1]).model_dump(), "the last take's own lines"
            assert sum(one.ending is Ending.DONE for one in takes) == (job["error"] is None)
            assert all(one.cost == 0 for one in takes if one.ending is not Ending.DONE)
    assert shown == asked - sum(one.deleted for one in visitors)
    assert len(by_id) > asked, "some were let go of and taken up again"

    expected = sums(found)
    assert expected["cost"] > 0
    assert reported(running, "ada") + reported(running, "bert") == expected
    assert reported(running, "nobody") == Counter()
    told = told_by_prometheus(running)
    assert told == +Counter({item: expected[item] for item in told})
    assert told["denoiser_evaluations"] > 0
    telemetry = running.server.telemetry
    assert telemetry is not None
    telemetry.flush()
    assert told_to(collector) == expected
    input_tokens = collector.value("gen_ai.client.inference.usage.input_tokens")
    assert input_tokens == expected["tokens"]
    assert not {"ada", "bert"} & set(re.findall(r"\w+", repr(collector.counters)))


def test_what_is_open_of_jobs_that_are_no_more_is_released_at_the_next_start(
    database_url: str, start_briefly: Start
) -> None:
    from dataclasses import replace

    from fusion import Book, FusionRequest, free_prices

    running = start_briefly(database=database_url)
    engine = running.server.engine
    with running.client() as client:
        kept = client.post("/v1/portraits", json={"steps": 150, "count": 4, "wait": False}).json()
    database = Database(database_url)
    with database.writing() as connection:
        for owner in ("server of-old", "process 1 2 elsewhere"):
            opening = engine.opening(FusionRequest(), f"job of {owner}")
            Book(free_prices()).reserve(connection, [replace(opening, owner=owner)])
    database.close()
    start_briefly(database=database_url, folder=running.server.settings.folder)
    with ledger(database_url) as opened:
        endings = {one.id: one.ending for one in accounts(opened)}
    assert endings["job of server of-old"] is Ending.RELEASED
    assert endings["job of process 1 2 elsewhere"] is None, "an engine's own is not the server's"
    assert endings[kept["id"]] is None, "nor what is being drawn"
    with running.client() as client:
        client.delete(f"/v1/portraits/{kept['id']}")
