"""What a server has accepted is not lost, however it ends; what it has delivered is not redrawn."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from fusion import Account, Ending, decimal_of
from tests.serving.conftest import accounts, ledger
from tests.serving.processes import ServerProcess

JOBS = 10
STEPS = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def process(
    request: pytest.FixtureRequest, tmp_path: Path, price_table: Path
) -> Iterator[ServerProcess]:
    """A server whose drain is far too short for what it will have to do."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres_url")
    options = ("--drain-seconds", "0.5", "--prices", str(price_table))
    server = ServerProcess(tmp_path, *options, database=database)
    yield server.start()
    if server.process is not None:
        server.kill()


def accept(client: httpx.Client, count: int) -> list[str]:
    """Have portraits accepted that nobody waits for."""
    ids = []
    for number in range(count):
        answer = client.post(
            "/v1/portraits",
            json={"attributes": {"age": 20 + number}, "steps": STEPS, "wait": False},
        )
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["id"])
    return ids


def all_ended(client: httpx.Client, ids: list[str]) -> dict[str, dict[str, object]]:
    """Wait until every one of them has ended; their answers."""
    deadline, answers = time.monotonic() + 240, dict[str, dict[str, object]]()
    while len(answers) < len(ids):
        assert time.monotonic() < deadline, f"{len(answers)} of {len(ids)} have ended"
        for one in ids:
            if one not in answers:
                answer = client.get(f"/v1/portraits/{one}")
                assert answer.status_code == 200, f"{one} was lost: {answer.text}"
                if answer.json()["status"] not in ("queued", "running"):
                    answers[one] = answer.json()
        time.sleep(0.1)
    return answers


def some_completed(client: httpx.Client, ids: list[str]) -> dict[str, dict[str, object]]:
    """Wait until some but not all are completed; those."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answers = [client.get(f"/v1/portraits/{one}").json() for one in ids]
        done = {one["id"]: one for one in answers if one["status"] == "completed"}
        if done:
            return done
        time.sleep(0.02)
    raise AssertionError("none was completed")


def takes(process: ServerProcess, job_id: str) -> list[Account]:
    """What the books say of a job, take by take; they hold, and nothing in them is open."""
    with ledger(process.database_url) as opened:
        assert opened.verify().holds
        found = accounts(opened)
    assert all(one.ending is not None for one in found)
    return [one for one in found if one.id.partition("/")[0] == job_id]


def charged_once(process: ServerProcess, answers: dict[str, dict[str, Any]]) -> None:
    """Each of them has one charge, the one it tells of."""
    for job_id, answer in answers.items():
        charges = [decimal_of(one.cost) for one in takes(process, job_id) if one.cost]
        assert charges == [answer["usage"]["cost"]["amount"]]


def test_nothing_accepted_is_lost_over_a_kill_and_nothing_delivered_is_drawn_twice(
    process: ServerProcess,
) -> None:
    with process.client() as client:
        ids = accept(client, JOBS)
        delivered = some_completed(client, ids)
        process.kill()
        assert len(delivered) < JOBS, "it was killed under load"
        process.start()
        answers = all_ended(client, ids)
        assert {one["status"] for one in answers.values()} == {"completed"}
        for one, before in delivered.items():
            assert answers[one] == before, "what was delivered is as it was, to the byte"
        drawn_since = process.metric("limner_pictures_total")
        assert drawn_since <= JOBS - len(delivered), "none of them was drawn again"
        resumed = [one for one in answers.values() if one["tries"] == 2]
        assert resumed, "some were under way when the server was killed"
        charged_once(process, answers)
        for one in resumed:  # killed between reserve and settle: the reservation was gone on under
            assert [take.ending for take in takes(process, str(one["id"]))] == [Ending.DONE]
        assert max(int(str(one["tries"])) for one in answers.values()) == 2


def test_nothing_accepted_is_lost_over_a_termination_under_load(process: ServerProcess) -> None:
    results: list[object] = []

    def ask(number: int) -> None:
        with OpenAI(base_url=f"{process.url}/v1", api_key=process.key, max_retries=12) as patient:
            results.append(
                patient.images.generate(
                    prompt="a man", extra_body={"steps": STEPS, "attributes": {"age": number}}
                )
            )

    with process.client() as client:
        ids = accept(client, JOBS)
        waiting = [threading.Thread(target=ask, args=(30 + number,)) for number in range(3)]
        for one in waiting:
            one.start()
        some_completed(client, ids)
        said = process.terminate()
        assert "Traceback" not in said, said
        process.start()
        answers = all_ended(client, ids)
        assert {one["status"] for one in answers.values()} == {"completed"}
        for one in waiting:
            one.join()
    assert len(results) == 3, "who waited has got an answer, over the restart"
    ours = {one.model_extra["limner"]["id"] for one in results}  # type: ignore[attr-defined]
    assert len(ours) == 3
    with process.client() as client:
        listed = client.get("/v1/portraits", params={"limit": 100}).json()["data"]
    assert len(listed) == JOBS + 3, "a retry over the restart made no request of its own"
    charged_once(process, {one["id"]: one for one in listed})


def test_a_request_over_which_the_server_dies_again_and_again_is_given_up(
    tmp_path: Path,
) -> None:
    process = ServerProcess(tmp_path).start()
    with process.client() as client:
        answer = client.post("/v1/portraits", json={"steps": 150, "count": 16, "wait": False})
        job_id = answer.json()["id"]
        for _ in range(3):
            deadline = time.monotonic() + 30
            while client.get(f"/v1/portraits/{job_id}").json()["status"] != "running":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.kill()
            process.start()
        ended = all_ended(client, [job_id])[job_id]
    process.kill()
    assert ended["status"] == "failed"
    error = ended["error"]
    assert isinstance(error, dict)
    assert error["code"] == "interrupted"
    assert [one.ending for one in takes(process, job_id)] == [Ending.FAILED]
