"""A key's budget stops a request before it is drawn, and says so once; nobody retries."""

from pathlib import Path

import pytest
from openai import OpenAI, PermissionDeniedError, RateLimitError

from fusion import nano
from serving import KeyStore
from tests.serving.conftest import Running, Start, accounts_of, jobs_ever
from tests.serving.cutting_proxy import CuttingProxy


@pytest.fixture(scope="module")
def dear(start: Start, price_table: Path) -> Running:
    """A server whose pictures cost a cent and a little each."""
    return start(prices=price_table)


def budgeted(running: Running, name: str, amount: str, currency: str = "EUR") -> str:
    """A new key with a budget."""
    keys = KeyStore(running.server.database)
    key, token = keys.add(name)
    keys.set_budget(key.id, nano(amount), currency)
    return token


def test_what_exceeds_the_budget_is_refused_and_nothing_is_drawn_nor_written(
    dear: Running,
) -> None:
    with dear.client(budgeted(dear, "poor", "0.035")) as client:
        body = {"steps": 1, "verify": False}
        drawn = [client.post("/v1/portraits", json=body) for _ in range(2)]
        assert [one.status_code for one in drawn] == [200, 200]
        jobs, booked = jobs_ever(dear), len(accounts_of(dear))
        refused = [client.post("/v1/portraits", json=body | {"count": 2}) for _ in range(2)]
        assert (jobs_ever(dear), len(accounts_of(dear))) == (jobs, booked)
        within = client.post("/v1/portraits", json=body)
    for one in refused:
        assert one.status_code == 429
        assert one.headers["x-should-retry"] == "false"
        error = one.json()["error"]
        assert (error["code"], error["type"]) == ("budget_exceeded", "insufficient_quota")
        assert "0.035 EUR" in error["message"]
    assert within.status_code == 200, "there was enough left for one"


def test_a_batch_is_within_the_budget_as_a_whole_or_not_accepted(dear: Running) -> None:
    with dear.client(budgeted(dear, "batches", "0.029")) as client:
        jobs = jobs_ever(dear)
        wishes = [{"steps": 1, "seed": seed} for seed in range(3)]
        answer = client.post("/v1/portrait-batches", json={"requests": wishes})
        assert answer.status_code == 429
        assert jobs_ever(dear) == jobs
        ends = client.post("/v1/portrait-batches", json={"requests": wishes[:2], "wait": True})
    assert [one["status"] for one in ends.json()["data"]] == ["completed", "completed"]


def test_the_sdk_does_not_retry_what_a_budget_refuses(dear: Running) -> None:
    port = int(dear.url.rpartition(":")[2])
    with (
        CuttingProxy(port, lambda number: None) as proxy,
        OpenAI(
            base_url=f"http://127.0.0.1:{proxy.port}/v1",
            api_key=budgeted(dear, "nothing", "0"),
            max_retries=5,
            default_headers={"Connection": "close"},
        ) as client,
        pytest.raises(RateLimitError) as caught,
    ):
        client.images.generate(prompt="a man")
    assert caught.value.code == "budget_exceeded"
    assert proxy.connections == 1


def test_a_budget_in_another_currency_draws_nothing_until_it_is_set_anew(dear: Running) -> None:
    token = budgeted(dear, "dollars", "100", "USD")
    with OpenAI(base_url=f"{dear.url}/v1", api_key=token) as client:
        with pytest.raises(PermissionDeniedError) as caught:
            client.images.generate(prompt="a man")
        assert caught.value.code == "budget_unusable"
        assert "USD" in caught.value.message
        KeyStore(dear.server.database).set_budget("dollars", nano("100"), "EUR")
        assert client.images.generate(prompt="a man", extra_body={"steps": 1}).data


def test_a_job_that_was_let_go_of_is_not_taken_up_beyond_the_budget(dear: Running) -> None:
    """It is another take, which may cost as much again."""
    token = budgeted(dear, "leaves", "0.0301")
    body = {"steps": 60, "attributes": {"age": 44}}
    with dear.client(token) as client:
        with pytest.raises(Exception, match="timed out"):
            client.post("/v1/portraits", json=body, timeout=0.2)
        KeyStore(dear.server.database).set_budget("leaves", 0, "EUR")
        retry = {"x-stainless-retry-count": "1"}
        refused = client.post("/v1/portraits", json=body, headers=retry)
        KeyStore(dear.server.database).set_budget("leaves", nano("1"), "EUR")
        drawn = client.post("/v1/portraits", json=body, headers=retry)
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert drawn.json()["status"] == "completed"
