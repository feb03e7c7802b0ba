"""/v1/portraits: the whole request, one or many, waited for, streamed, looked up, forgotten."""

import base64
import io
import json
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from fusion import Engine, FusionRequest, Identity
from serving import Scope
from tests.serving.conftest import Running


@pytest.fixture(scope="module")
def client(running_server: Running) -> Iterator[httpx.Client]:
    """With a key that may do all."""
    with running_server.client() as client:
        yield client


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pixels(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))


def events_of(client: httpx.Client, method: str, path: str, body: object = None) -> list[dict]:  # type: ignore[type-arg]
    """All events of a stream, whose names must be their types."""
    found, name = [], ""
    with client.stream(method, path, json=body) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                found.append(json.loads(line[6:]))
                assert found[-1]["type"] == name
    return found


def test_the_picture_is_the_engines_own_to_the_last_bit(
    client: httpx.Client, photos: list[bytes], engine: Engine
) -> None:
    body = {
        "identities": [
            {"image": b64(photos[0]), "weight": 0.7},
            {"image": "data:image/png;base64," + b64(photos[1]), "weight": 0.3},
        ],
        "attributes": {"age": 60, "expression": "smiling", "glasses": True},
        "seed": 7,
        "steps": 8,
    }
    answer = client.post("/v1/portraits", json=body).json()
    ours = engine.fuse(
        FusionRequest(
            identities=(
                Identity(image=photos[0], weight=0.7),
                Identity(image=photos[1], weight=0.3),
            ),
            attributes={"age": 60, "expression": "smiling", "glasses": True},
            seed=7,
            steps=8,
        )
    )
    assert np.array_equal(pixels(answer["images"][0]["b64_json"]), np.asarray(ours.images[0]))
    assert answer["prompt"]["prompt"] == ours.plan.prompt
    assert answer["usage"]["denoiser_evaluations"] == ours.usage.denoiser_evaluations
    assert [one["weight"] for one in answer["images"][0]["similarity"]] == [0.7, 0.3]
    assert [entry["stage"] for entry in answer["trace"]][-1] == "verify"


def test_few_steps_are_a_word_of_the_wire(client: httpx.Client) -> None:
    answer = client.post("/v1/portraits", json={"steps": "few"}).json()
    assert answer["usage"]["steps"] == 4
    assert any("steps: few" in said for entry in answer["trace"] for said in entry["decisions"])
    refused = client.post("/v1/portraits", json={"steps": "several"})
    assert refused.status_code == 400
    assert '"auto" or "few"' in refused.json()["error"]["message"]


def test_the_picture_is_labelled_as_generated(client: httpx.Client) -> None:
    answer = client.post("/v1/portraits", json={"steps": 1}).json()
    data = base64.b64decode(answer["images"][0]["b64_json"])
    assert Image.open(io.BytesIO(data)).info["Limner"] == "AI-generated"
    assert b"trainedAlgorithmicMedia" in data


def test_an_embedding_does_as_well_as_a_photo(client: httpx.Client) -> None:
    values = np.random.default_rng(0).normal(size=512)
    body = {"identities": [{"embedding": (values / np.linalg.norm(values)).tolist()}], "steps": 1}
    answer = client.post("/v1/portraits", json=body)
    assert answer.status_code == 200
    assert str(round(float(values[0] / np.linalg.norm(values)), 6)) not in answer.text


def test_every_field_of_a_fusion_request_has_its_place_on_the_wire() -> None:
    from serving.wire import PortraitRequest

    ours = set(FusionRequest.model_fields)
    assert ours <= set(PortraitRequest.model_fields)


def test_a_stream_tells_stages_steps_previews_and_the_portrait(client: httpx.Client) -> None:
    body = {"steps": 9, "previews": 2, "stream": True, "seed": 1}
    told = events_of(client, "POST", "/v1/portraits", body)
    kinds = [event["type"].removeprefix("portrait.") for event in told]
    assert kinds[0] == "queued"
    assert kinds[-1] == "completed"
    assert kinds.count("step") == 9
    assert kinds.count("partial_image") == 2
    assert [event["stage"] for event in told if event["type"] == "portrait.stage"][-1] == "decode"
    assert {event["id"] for event in told} == {told[-1]["portrait"]["id"]}
    same = client.post("/v1/portraits", json={"steps": 9, "seed": 1}).json()
    assert told[-1]["portrait"]["images"][0]["b64_json"] == same["images"][0]["b64_json"]


def test_a_stream_that_fails_says_so_in_its_last_event(client: httpx.Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128), "grey").save(buffer, "PNG")
    body = {"identities": [{"image": b64(buffer.getvalue())}], "stream": True}
    told = events_of(client, "POST", "/v1/portraits", body)
    assert told[-1]["type"] == "portrait.failed"
    assert told[-1]["error"]["code"] == "no_face_detected"


def test_what_is_not_waited_for_is_looked_up_later(client: httpx.Client) -> None:
    accepted = client.post("/v1/portraits", json={"steps": 6, "wait": False, "count": 2})
    assert accepted.status_code == 202
    job = accepted.json()
    assert job["status"] in ("queued", "running")
    told = events_of(client, "GET", f"/v1/portraits/{job['id']}/events")
    assert told[-1]["type"] == "portrait.completed"
    found = client.get(f"/v1/portraits/{job['id']}").json()
    assert found["status"] == "completed"
    assert len(found["images"]) == 2
    plain = client.get(f"/v1/portraits/{job['id']}", params={"images": False}).json()
    assert [one["b64_json"] for one in plain["images"]] == [None, None]
    file = client.get(f"/v1/portraits/{job['id']}/images/1")
    assert file.headers["content-type"] == "image/png"
    assert b64(file.content) == found["images"][1]["b64_json"]
    assert client.get(f"/v1/portraits/{job['id']}/images/2").status_code == 404
    again = events_of(client, "GET", f"/v1/portraits/{job['id']}/events")
    assert [event["type"] for event in again] == ["portrait.completed"]


def test_a_batch_is_drawn_together_each_as_asked(client: httpx.Client) -> None:
    requests = [{"attributes": {"age": 20 + n}, "seed": n, "steps": 3} for n in range(5)]
    answer = client.post("/v1/portrait-batches", json={"requests": requests, "wait": True})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert [one["images"][0]["seed"] for one in data] == list(range(5))
    later = client.post("/v1/portrait-batches", json={"requests": requests}).json()["data"]
    assert [one["status"] in ("queued", "running") for one in later] == [True] * 5


def test_a_batch_with_one_bad_request_is_refused_whole_and_names_it(
    running_server: Running,
) -> None:
    with running_server.client(running_server.key_of("batcher")) as client:
        requests = [{"steps": 1}, {"attributes": {"agee": 1}}]
        answer = client.post("/v1/portrait-batches", json={"requests": requests})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "requests.1"
        assert client.get("/v1/portraits").json()["data"] == []


def test_a_batch_with_an_idempotency_key_is_drawn_once(running_server: Running) -> None:
    body = {"requests": [{"steps": 1}, {"steps": 2}], "wait": True}
    headers = {"Idempotency-Key": "batch-1"}
    with running_server.client(running_server.key_of("batches")) as client:
        answers = [
            client.post("/v1/portrait-batches", json=body, headers=headers).json() for _ in range(2)
        ]
        ids = [[one["id"] for one in answer["data"]] for answer in answers]
        assert ids[0] == ids[1]
        body["requests"].append({"steps": 3})  # type: ignore[attr-defined]
        other = client.post("/v1/portrait-batches", json=body, headers=headers)
    assert other.status_code == 409


def test_all_requests_are_listed_page_by_page(running_server: Running) -> None:
    with running_server.client(running_server.key_of("lister")) as client:
        ids = [client.post("/v1/portraits", json={"steps": 1}).json()["id"] for _ in range(5)]
        found: list[str] = []
        more, after = True, {}
        while more:
            page = client.get("/v1/portraits", params={"limit": 2, **after}).json()
            found += [one["id"] for one in page["data"]]
            more, after = page["has_more"], {"after": found[-1]}
    assert found == ids[::-1]


def test_a_wrong_method_says_which_are_right_and_a_wrong_value_where_it_is(
    client: httpx.Client,
) -> None:
    wrong = client.get("/v1/images/generations")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert "POST is" in wrong.json()["error"]["message"]
    for body, param in (
        ({"steps": 0}, "steps"),
        ({"attributes": {"age": {"a": 1}}}, "attributes.age"),
        ({"identities": [{"weight": -1}]}, "identities.0.weight"),
    ):
        assert client.post("/v1/portraits", json=body).json()["error"]["param"] == param


def test_a_tenant_sees_stops_and_reuses_nothing_of_anothers(
    running_server: Running, photos: list[bytes]
) -> None:
    body = {
        "identities": [{"image": b64(photos[3])}],
        "attributes": {"clothing": "green sweater"},
        "steps": 1,
    }
    keys = [running_server.key_of(name) for name in ("anna", "bert")]
    answers = []
    for key in keys:
        with running_server.client(key) as client:
            answers.append([client.post("/v1/portraits", json=body).json() for _ in range(2)])
    for first, second in answers:
        assert first["usage"]["faces_reused"] == first["usage"]["positions_reused"] == 0
        assert first["usage"]["projections_reused"] == 0
        assert second["usage"]["faces_reused"] == 1
        assert second["usage"]["positions_reused"] > 0
    with running_server.client(keys[1]) as bert:
        theirs = answers[0][0]["id"]
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/images/0")):
            assert bert.request(method, f"/v1/portraits/{theirs}{path}").status_code == 404
        assert theirs not in bert.get("/v1/portraits").text


def test_a_reader_may_look_and_not_draw_and_metrics_need_their_own_scope(
    running_server: Running,
) -> None:
    with running_server.client(running_server.key_of("tests", Scope.READ)) as reader:
        listed = reader.get("/v1/portraits").json()["data"]
        assert reader.post("/v1/prompts/optimize", json={"text": "an old man"}).status_code == 200
        assert reader.post("/v1/portraits", json={}).status_code == 403
        assert reader.get("/metrics").status_code == 403
        if listed:
            assert reader.delete(f"/v1/portraits/{listed[0]['id']}").status_code == 403
    with running_server.client(running_server.key_of("p", Scope.METRICS)) as prometheus:
        text = prometheus.get("/metrics").text
        assert prometheus.get("/v1/portraits").status_code == 403
    assert "limner_pictures_total" in text
    assert "limner_rows" in text
    assert "tests" not in text, "no tenant is named"


def test_the_plan_of_words_is_told_without_drawing(client: httpx.Client) -> None:
    wish = {"attributes": {"age": 60}, "text": "一位戴眼镜的微笑老人,杰作,没有帽子"}
    plan = client.post("/v1/prompts/optimize", json=wish).json()
    assert plan["tokens"] < plan["baseline_tokens"]
    assert "glasses" in plan["prompt"]
    assert "no hat" in plan["kept"]
    fates = {one["fate"] for one in plan["decisions"]}
    assert {"kept", "negative"} <= fates
    small = client.post("/v1/prompts/optimize", json={**wish, "budget": 3}).json()
    assert small["dropped"]


def test_health_is_open_and_readiness_says_when(running_server: Running) -> None:
    assert httpx.get(f"{running_server.url}/healthz").json() == {"status": "ok"}
    deadline = time.monotonic() + 30
    while httpx.get(f"{running_server.url}/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_answer_and_no_log_line_tells_a_key_a_path_or_an_embedding(
    running_server: Running, photos: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="limner"), running_server.client() as client:
        client.post("/v1/portraits", json={"identities": [{"image": b64(photos[0])}], "steps": 1})
        client.post("/v1/portraits", json={"identities": [{"image": "x"}]})
        client.get("/v1/portraits/portrait_secret")
    said = caplog.text
    assert running_server.key not in said
    assert running_server.key.rsplit("_", 1)[1] not in said
    assert "portrait_secret" not in said
    assert b64(photos[0])[:40] not in said
