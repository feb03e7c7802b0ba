"""Who leaves is not drawn for: the row is gone from the engine's loop within one step."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from fusion import EventKind
from serving import Limits, Scope
from tests.serving.conftest import Running, Start


@pytest.fixture(scope="module")
def lone(start: Start) -> Running:
    """A server that draws one thing at a time, so that a row is known by its number."""
    return start(limits=Limits(requests_per_minute=100_000, steps=500))


def rows(running: Running) -> int:
    """Pictures in the denoising loop right now."""
    return running.server.engine.occupancy.rows


def wait_for(condition: object, seconds: float = 60.0) -> float:
    """Wait until a condition holds; how long it took."""
    began = time.perf_counter()
    while not condition():  # type: ignore[operator]
        assert time.perf_counter() - began < seconds, "it never came to be"
        time.sleep(0.001)
    return time.perf_counter() - began


@contextmanager
def painting(running: Running, path: str, body: dict[str, object]) -> Iterator[httpx.Client]:
    """A client whose request is being drawn when the block begins, and which leaves at its end."""
    client = running.client()

    def ask() -> None:
        with suppress(httpx.HTTPError):  # it left
            client.post(path, json=body)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    wait_for(lambda: rows(running) == 1)
    yield client
    leave(client)
    thread.join()
    client.close()


def leave(client: httpx.Client) -> None:
    """Close the connections under a client, as a process that dies does."""
    for connection in client._transport._pool.connections:  # type: ignore[attr-defined]
        stream = connection._connection._network_stream
        stream.get_extra_info("socket").shutdown(2)


def step_seconds(running: Running) -> float:
    """How long a step of one row takes here."""
    with running.client() as client:
        client.post("/v1/portraits", json={"steps": 3, "verify": False})
        usage = client.post("/v1/portraits", json={"steps": 40, "verify": False}).json()["usage"]
    return float(usage["seconds_by_stage"]["denoise"]) / 40


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/portraits", {"steps": 500}),
        ("/v1/images/generations", {"prompt": "a man", "steps": 500}),
        ("/v1/images/generations", {"prompt": "a man", "steps": 500, "stream": True}),
    ],
)
def test_a_client_that_leaves_frees_its_row_within_a_step(
    lone: Running, path: str, body: dict[str, object]
) -> None:
    step = step_seconds(lone)
    with painting(lone, path, body) as client:
        leave(client)
        gone = wait_for(lambda: rows(lone) == 0)
    # The step under way is finished; what the socket and the loop take is no step's.
    assert gone < step + 0.1, f"{gone:.3f} s, a step takes {step:.3f}"


def test_no_step_is_begun_after_the_client_left(lone: Running) -> None:
    """Told by the engine itself: after the socket closed, the step under way ends, and no more."""
    body = {"steps": 300, "count": 8, "stream": True}
    steps: list[float] = []
    with lone.client() as client, client.stream("POST", "/v1/portraits", json=body) as response:
        lines = response.iter_lines()
        told = next(line for line in lines if line.startswith("data:"))
        job_id = json.loads(told[5:])["id"]
        wait_for(lambda: rows(lone) == 8)
        handle = lone.server.runner._live[job_id].handle
        assert handle is not None
        handle.listen(
            lambda event: (
                steps.append(time.perf_counter()) if event.kind is EventKind.STEP else None
            )
        )
        next(line for line in lines if '"portrait.step"' in line)
        left = time.perf_counter()
        leave(client)
        wait_for(lambda: rows(lone) == 0)
    wait_for(lambda: lone.server.runner.feed(job_id) is None)
    assert sum(at > left for at in steps) <= 1
    job = lone.server.store.get(job_id)
    assert job is not None
    assert job.packet.failure is not None
    assert job.packet.failure.client_left


def test_a_delete_frees_the_row_within_a_step_and_forgets_the_request(lone: Running) -> None:
    step = step_seconds(lone)
    with lone.client() as client:
        accepted = client.post("/v1/portraits", json={"steps": 500, "wait": False})
        assert accepted.status_code == 202
        job_id = accepted.json()["id"]
        wait_for(lambda: rows(lone) == 1)
        began = time.perf_counter()
        gone = client.delete(f"/v1/portraits/{job_id}")
        assert rows(lone) == 0
        assert time.perf_counter() - began < step + 0.3
        assert gone.json() == {"id": job_id, "object": "portrait.deleted", "deleted": True}
        assert client.get(f"/v1/portraits/{job_id}").status_code == 404


def test_who_only_follows_may_leave_without_stopping_it(lone: Running) -> None:
    with lone.client() as client:
        job_id = client.post("/v1/portraits", json={"steps": 60, "wait": False}).json()["id"]
        with client.stream("GET", f"/v1/portraits/{job_id}/events") as response:
            next(response.iter_lines())
        wait_for(lambda: client.get(f"/v1/portraits/{job_id}").json()["status"] == "completed")


def test_who_only_follows_does_not_begin_again_what_was_dropped(lone: Running) -> None:
    reader = lone.key_of("tests", Scope.READ)
    with painting(lone, "/v1/portraits", {"steps": 400}) as client:
        job_id = client.get("/v1/portraits", params={"limit": 1}).json()["data"][0]["id"]
    wait_for(lambda: lone.server.runner.feed(job_id) is None)
    with lone.client(reader) as follower:
        told = follower.get(f"/v1/portraits/{job_id}/events").text
    assert "portrait.cancelled" in told
    assert rows(lone) == 0


def test_one_of_two_who_wait_may_leave(lone: Running) -> None:
    headers = {"x-stainless-retry-count": "1"}
    body = {"attributes": {"age": 33}, "steps": 120}
    with painting(lone, "/v1/portraits", body) as first, lone.client() as second:
        answers: list[httpx.Response] = []
        thread = threading.Thread(
            target=lambda: answers.append(second.post("/v1/portraits", json=body, headers=headers))
        )
        thread.start()
        time.sleep(0.3)
        leave(first)
        thread.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["tries"] == 1
