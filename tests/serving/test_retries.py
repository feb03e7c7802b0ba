"""One picture, whatever the weather: cut connections, the SDK's own retries, idempotency keys."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import OpenAI

from fusion import Ending, decimal_of
from serving import Limits
from tests.serving.conftest import Running, Start, accounts_of, jobs_ever
from tests.serving.cutting_proxy import CuttingProxy


@pytest.fixture(scope="module")
def quiet(start: Start, price_table: Path) -> Running:
    """A server whose pictures nobody else asks for, and which has a price."""
    return start(prices=price_table)


def drawn(running: Running) -> tuple[int, int]:
    """Jobs there ever were, and pictures that were drawn to the end."""
    metrics = running.server.metrics.registry
    pictures = metrics.get_sample_value("limner_pictures_total") or 0
    return jobs_ever(running), int(pictures)


def charges(running: Running, job_id: str) -> tuple[list[int], set[Ending | None]]:
    """What is charged for a job, take by take, and how its other takes ended."""
    takes = [one for one in accounts_of(running) if one.id.partition("/")[0] == job_id]
    free = {one.ending for one in takes if not one.cost}
    return [one.cost for one in takes if one.cost], free


def through(proxy: CuttingProxy, key: str, **options: object) -> OpenAI:
    return OpenAI(base_url=f"http://127.0.0.1:{proxy.port}/v1", api_key=key, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("when", ["at once", "answered"])
def test_a_connection_cut_before_the_answer_gives_one_generation(quiet: Running, when: str) -> None:
    key, before = quiet.key_of(f"cut-{when[:2]}"), drawn(quiet)
    port = int(quiet.url.rpartition(":")[2])
    with (
        CuttingProxy(port, lambda number: when if number < 2 else None) as proxy,
        through(proxy, key) as client,
    ):
        answer = client.images.generate(
            prompt="a man with a beard", extra_body={"steps": 100 if when == "at once" else 4}
        )
    assert proxy.connections == 3, "the SDK tries three times"
    assert answer.data
    after = drawn(quiet)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
    told = answer.model_extra["limner"]  # type: ignore[index]
    assert told["status"] == "completed"
    charged, others = charges(quiet, told["id"])
    assert [decimal_of(one) for one in charged] == [told["usage"]["cost"]["amount"]], "one charge"
    assert others == ({Ending.CANCELLED} if when == "at once" else set())


def test_a_retry_of_what_was_answered_gives_the_same_picture(quiet: Running) -> None:
    key, body = quiet.key_of("same"), {"prompt": "a man", "steps": 2}
    with quiet.client(key) as client:
        first = client.post("/v1/images/generations", json=body).json()
        retry = client.post(
            "/v1/images/generations", json=body, headers={"x-stainless-retry-count": "1"}
        ).json()
        another = client.post("/v1/images/generations", json=body).json()
    assert retry["data"] == first["data"]
    assert retry["limner"]["id"] == first["limner"]["id"]
    assert another["limner"]["id"] != first["limner"]["id"], "no retry, so a new picture"


def test_a_retry_of_what_was_refused_is_no_retry_of_an_older_twin(start: Start) -> None:
    running = start(limits=Limits(waiting=1, requests_per_minute=100_000))
    key, body = running.key_of("refused"), {"prompt": "a man", "steps": 2}
    with running.client(key) as client:
        first = client.post("/v1/images/generations", json=body).json()
        running.server.desk.draining = True
        assert client.post("/v1/images/generations", json=body).status_code == 503
        running.server.desk.draining = False
        retry = client.post(
            "/v1/images/generations", json=body, headers={"x-stainless-retry-count": "1"}
        ).json()
    assert retry["limner"]["id"] != first["limner"]["id"]


def test_an_idempotency_key_gives_the_same_answer_to_all_who_ask_at_once(quiet: Running) -> None:
    key, before = quiet.key_of("many"), drawn(quiet)
    body = {"attributes": {"age": 30}, "steps": 10}
    headers = {"Idempotency-Key": "all-at-once"}

    def ask(_: int) -> tuple[int, str]:
        with quiet.client(key) as client:
            answer = client.post("/v1/portraits", json=body, headers=headers)
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(ask, range(6)))
    assert len(answers) == 1
    status, job_id = answers.pop()
    assert status == 200
    assert len(charges(quiet, job_id)[0]) == 1
    after = drawn(quiet)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


def test_an_idempotency_key_belongs_to_its_tenant(quiet: Running) -> None:
    headers, body = {"Idempotency-Key": "mine"}, {"steps": 1}
    ids = set()
    for tenant in ("anna", "bert"):
        with quiet.client(quiet.key_of(tenant)) as client:
            ids.add(client.post("/v1/portraits", json=body, headers=headers).json()["id"])
    assert len(ids) == 2


def test_a_request_with_an_idempotency_key_is_drawn_though_its_client_left(
    quiet: Running,
) -> None:
    key, headers = quiet.key_of("left"), {"Idempotency-Key": "left-and-came-back"}
    body = {"prompt": "a man", "steps": 60}
    before = drawn(quiet)
    with quiet.client(
        key,
    ) as client:
        with pytest.raises(Exception, match="timed out"):
            client.post("/v1/images/generations", json=body, headers=headers, timeout=0.2)
        time.sleep(0.2)
        again = client.post("/v1/images/generations", json=body, headers=headers)
    assert again.status_code == 200
    assert again.json()["limner"]["tries"] == 1, "it was never begun anew"
    assert drawn(quiet)[1] - before[1] == 1


def test_a_full_queue_says_when_to_come_back_and_the_sdk_does(start: Start) -> None:
    running = start(limits=Limits(waiting=2, requests_per_minute=100_000))
    key = running.key_of("full")
    statuses = []
    with (
        OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=8) as client,
        running.client(key) as raw,
    ):

        def ask(_: int) -> None:
            statuses.append(
                raw.post("/v1/images/generations", json={"prompt": "a man", "steps": 40})
            )

        crowd = [threading.Thread(target=ask, args=(number,)) for number in range(48)]
        for one in crowd:
            one.start()
        answer = client.images.generate(prompt="a woman", extra_body={"steps": 2})
        for one in crowd:
            one.join()
    assert answer.data
    refused = [one for one in statuses if one.status_code == 429]
    assert refused, "forty-eight at once are more than may wait"
    assert {one.json()["error"]["code"] for one in refused} == {"queue_full"}
    assert all(1 <= int(one.headers["retry-after"]) <= 60 for one in refused)
    assert {one.status_code for one in statuses} == {200, 429}
