"""The official SDK, as a stranger has it, against a running server: every call, every error."""

import base64
import io
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import OpenAI
from PIL import Image

from serving import Limits, Scope
from tests.serving.conftest import Running, Start, as_file


@pytest.fixture(scope="module")
def client(running_server: Running) -> Iterator[OpenAI]:
    """As anybody would make it."""
    with OpenAI(base_url=f"{running_server.url}/v1", api_key=running_server.key) as client:
        yield client


def picture(encoded: str | None) -> Image.Image:
    """What an answer's b64_json is."""
    assert encoded is not None
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    image.load()
    return image


class TestGenerate:
    def test_words_alone_give_a_picture_of_the_models_own_size(self, client: OpenAI) -> None:
        answer = client.images.generate(model="mini", prompt="a smiling old man with a red hat")
        assert answer.data is not None
        assert len(answer.data) == 1
        assert picture(answer.data[0].b64_json).size == (128, 128)
        assert answer.size == "128x128"
        assert answer.output_format == "png"
        assert answer.quality == "medium"
        assert answer.background == "opaque"
        assert answer.usage is not None
        assert answer.usage.input_tokens == answer.usage.input_tokens_details.text_tokens > 0
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens

    def test_the_answer_tells_what_was_kept_dropped_reused_and_used(self, client: OpenAI) -> None:
        answer = client.images.generate(
            prompt="a woman with glasses, masterpiece, 8k", extra_body={"seed": 5}
        )
        assert answer.data is not None
        assert "glasses" in (answer.data[0].revised_prompt or "")
        told = answer.model_extra["limner"]  # type: ignore[index]
        assert "glasses" in told["prompt"]["kept"]
        assert told["prompt"]["removed"]
        assert told["usage"]["denoiser_evaluations"] > 0
        assert told["usage"]["positions_computed"] + told["usage"]["positions_reused"] > 0
        assert told["images"][0]["seed"] == 5

    def test_a_size_the_model_was_not_made_for_is_drawn_at_its_own_and_told(
        self, client: OpenAI
    ) -> None:
        answer = client.images.generate(prompt="a man", size="1024x1024", n=2)
        assert answer.data is not None
        assert [picture(one.b64_json).size for one in answer.data] == [(1024, 1024)] * 2
        assert "drawn at 128×128" in answer.model_extra["limner"]["downgrades"][0]  # type: ignore[index]

    def test_our_own_settings_travel_in_extra_body(
        self, client: OpenAI, photos: list[bytes]
    ) -> None:
        photo = base64.b64encode(photos[0]).decode()
        answer = client.images.generate(
            prompt="smiling",
            extra_body={
                "attributes": {"glasses": True, "age": 40},
                "identities": [{"image": photo}],
                "steps": 6,
                "seed": 11,
            },
        )
        told = answer.model_extra["limner"]  # type: ignore[index]
        assert told["usage"]["steps"] == 6
        assert told["images"][0]["similarity"][0]["name"] == "identity 1"
        assert "glasses" in told["prompt"]["prompt"]

    @pytest.mark.parametrize("kind", ["jpeg", "webp", "png"])
    def test_formats(self, client: OpenAI, kind: str) -> None:
        answer = client.images.generate(
            prompt="a man",
            output_format=kind,
            output_compression=80,
            extra_body={"steps": 2},  # type: ignore[arg-type]
        )
        assert answer.data is not None
        assert picture(answer.data[0].b64_json).format == kind.upper()
        assert answer.output_format == kind

    @pytest.mark.parametrize(
        ("quality", "shown"), [("low", "low"), ("high", "high"), ("hd", "high"), ("auto", "medium")]
    )
    def test_qualities_mean_something(self, client: OpenAI, quality: str, shown: str) -> None:
        answer = client.images.generate(prompt="a man", quality=quality)  # type: ignore[arg-type]
        usage = answer.model_extra["limner"]["usage"]  # type: ignore[index]
        assert answer.quality == shown
        assert (usage["shallow_evaluations"] > 0) == (quality == "low")
        if shown == "high":
            assert usage["steps"] == 30

    def test_two_calls_give_two_pictures_and_a_seed_gives_the_same(self, client: OpenAI) -> None:
        def draw(**extra: object) -> str | None:
            body = {"steps": 2, **extra}
            data = client.images.generate(prompt="a man", extra_body=body).data
            return data[0].b64_json if data else None

        assert draw() != draw()
        assert draw(seed=1) == draw(seed=1)

    def test_streaming_gives_partial_pictures_then_the_picture(self, client: OpenAI) -> None:
        stream = client.images.generate(prompt="a man", stream=True, partial_images=2, size="auto")
        kinds = []
        for event in stream:
            kinds.append(event.type)
            assert picture(event.b64_json).size == (128, 128)
            if event.type == "image_generation.completed":
                assert event.usage.total_tokens > 0
            else:
                assert event.partial_image_index == len(kinds) - 1
        partial, last = "image_generation.partial_image", "image_generation.completed"
        assert kinds == [partial, partial, last]

    def test_a_stream_of_several_pictures_completes_each(self, client: OpenAI) -> None:
        stream = client.images.generate(prompt="a man", stream=True, n=3, extra_body={"steps": 2})
        events = list(stream)
        assert [event.type for event in events] == ["image_generation.completed"] * 3
        assert [event.usage.total_tokens > 0 for event in events] == [False, False, True]  # type: ignore[union-attr]


class TestEdit:
    def test_one_picture_is_edited_and_its_person_kept(
        self, client: OpenAI, photos: list[bytes]
    ) -> None:
        answer = client.images.edit(image=photos[0], prompt="smiling")
        assert answer.data is not None
        assert picture(answer.data[0].b64_json).size == (256, 256)

    def test_of_several_the_first_gets_the_faces_of_the_others(
        self, client: OpenAI, photos: list[bytes]
    ) -> None:
        answer = client.images.edit(
            image=photos[:3], prompt="smiling", extra_body={"weights": [0.7, 0.3]}
        )
        told = answer.model_extra["limner"]  # type: ignore[index]
        likeness = told["images"][0]["similarity"]
        assert [(one["name"], round(one["weight"], 2)) for one in likeness] == [
            ("image 2", 0.7),
            ("image 3", 0.3),
        ]

    def test_roles_say_otherwise(self, client: OpenAI, photos: list[bytes]) -> None:
        answer = client.images.edit(
            image=[("a.png", photos[0]), ("b.png", photos[1])],
            prompt="a woman with a hat",
            extra_body={"image_roles": ["person", "person"], "attributes": {"age": 50}},
        )
        assert answer.size == "128x128"
        told = answer.model_extra["limner"]  # type: ignore[index]
        assert len(told["images"][0]["similarity"]) == 2

    def test_a_mask_says_where(self, client: OpenAI, photos: list[bytes]) -> None:
        mask = Image.new("RGBA", (256, 256), (0, 0, 0, 255))
        mask.paste((0, 0, 0, 0), (80, 110, 180, 200))
        answer = client.images.edit(
            image=photos[0], mask=as_file(mask), prompt="smiling", extra_body={"steps": 4}
        )
        assert answer.data is not None
        before = Image.open(io.BytesIO(photos[0])).convert("RGB")
        after = picture(answer.data[0].b64_json).convert("RGB")
        assert list(before.crop((0, 0, 256, 60)).get_flattened_data()) == list(
            after.crop((0, 0, 256, 60)).get_flattened_data()
        ), "what the mask does not show stays as it is"
        assert before.tobytes() != after.tobytes()

    def test_streaming(self, client: OpenAI, photos: list[bytes]) -> None:
        stream = client.images.edit(
            image=photos[0], prompt="smiling", stream=True, partial_images=1
        )
        assert [event.type for event in stream] == [
            "image_edit.partial_image",
            "image_edit.completed",
        ]


class TestModels:
    def test_they_are_listed_and_looked_up(self, client: OpenAI) -> None:
        assert [model.id for model in client.models.list()] == ["mini"]
        assert client.models.retrieve("mini").owned_by == "limner"


class TestErrors:
    @pytest.fixture
    def failing(self, client: OpenAI) -> OpenAI:
        return client.with_options(max_retries=0)

    def test_bad_request_names_the_parameter(self, failing: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            failing.images.generate(prompt="a man", n=0)
        assert caught.value.code == "invalid_request"
        assert caught.value.param == "n"
        assert caught.value.type == "invalid_request_error"
        assert (caught.value.request_id or "").startswith("req_")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"attributes": {"agee": 3}}, "unknown_attribute"),
            ({"attributes": {"age": "purple"}}, "invalid_attribute"),
            ({"nonsense": 1}, "unknown_parameter"),
            ({"identities": [{"image": "AAAA"}]}, "image_rejected"),
            ({"identities": [{}]}, "invalid_identity"),
            ({"identities": [{"image": "https://x.test/a.png"}]}, "image_rejected"),
            ({"background": "transparent"}, "unsupported"),
            ({"response_format": "url"}, "unsupported"),
            ({"size": "huge"}, "invalid_size"),
            ({"steps": 10_000}, "invalid_request"),
            ({"optimize": False, "prompt": "word " * 200}, "prompt_too_long"),
        ],
    )
    def test_bad_requests_have_codes(
        self, failing: OpenAI, body: dict[str, object], code: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            failing.images.generate(prompt="a man", extra_body=body)
        assert caught.value.code == code

    def test_no_key_and_a_wrong_key_are_told_apart(self, running_server: Running) -> None:
        url = running_server.url
        with (
            OpenAI(base_url=f"{url}/v1", api_key="lim_nobody") as nobody,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            nobody.models.list()
        assert caught.value.code == "invalid_api_key"
        refused = httpx.get(f"{url}/v1/models")
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "missing_api_key"

    def test_a_key_may_be_too_narrow(self, running_server: Running) -> None:
        key = running_server.key_of("narrow", Scope.READ)
        with OpenAI(base_url=f"{running_server.url}/v1", api_key=key) as reader:
            assert reader.models.list().data
            with pytest.raises(openai.PermissionDeniedError) as caught:
                reader.images.generate(prompt="a man")
        assert caught.value.code == "permission_denied"

    def test_a_model_that_is_not_here(self, failing: OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as caught:
            failing.images.generate(model="dall-e-9", prompt="a man")
        assert caught.value.code == "model_not_found"
        assert "mini" in caught.value.message

    def test_an_idempotency_key_for_another_request(self, client: OpenAI) -> None:
        headers = {"Idempotency-Key": "conflict-1"}
        client.images.generate(prompt="a man", extra_headers=headers, extra_body={"steps": 1})
        with pytest.raises(openai.ConflictError) as caught:  # and the SDK does not retry it
            client.images.generate(prompt="a woman", extra_headers=headers)
        assert caught.value.code == "idempotency_conflict"

    def test_a_picture_without_a_face(self, failing: OpenAI) -> None:
        grey = as_file(Image.new("RGB", (256, 256), "grey"))
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            failing.images.edit(image=grey, prompt="smiling")
        assert caught.value.code == "no_face_detected"
        with pytest.raises(openai.UnprocessableEntityError):
            list(failing.images.edit(image=grey, prompt="smiling", stream=True))

    def test_several_faces_come_with_their_boxes(
        self, failing: OpenAI, photos: list[bytes]
    ) -> None:
        two = Image.new("RGB", (512, 256))
        for index in range(2):
            two.paste(Image.open(io.BytesIO(photos[index])), (256 * index, 0))
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            failing.images.edit(image=as_file(two), prompt="smiling")
        assert caught.value.code == "several_faces"
        body = caught.value.body
        assert isinstance(body, dict)
        left, right = body["boxes"]
        assert left[2] < 256 < right[0]
        answer = failing.images.edit(
            image=as_file(two), prompt="smiling", extra_body={"target_face": 2, "steps": 2}
        )
        assert answer.data

    def test_a_face_too_small(self, failing: OpenAI, photos: list[bytes]) -> None:
        wide = Image.new("RGB", (256, 256), "white")
        wide.paste(Image.open(io.BytesIO(photos[0])).resize((36, 36)), (100, 100))
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            failing.images.edit(image=as_file(wide), prompt="smiling")
        assert caught.value.code == "face_too_small"

    def test_too_often_is_told_when_to_come_back(self, running_server: Running) -> None:
        key = running_server.key_of("busy", per_minute=1)
        url = f"{running_server.url}/v1"
        with OpenAI(base_url=url, api_key=key, max_retries=0) as hasty:
            hasty.images.generate(prompt="a man", extra_body={"steps": 1})
            with pytest.raises(openai.RateLimitError) as caught:
                hasty.images.generate(prompt="a man", extra_body={"steps": 1})
        assert caught.value.code == "rate_limit_exceeded"
        assert 0 < int(caught.value.response.headers["retry-after"]) <= 60

    def test_a_server_that_ends_says_so(self, start: Start) -> None:
        ending = start(limits=Limits(requests_per_minute=1000))
        ending.server.desk.draining = True
        with (
            OpenAI(base_url=f"{ending.url}/v1", api_key=ending.key, max_retries=0) as client,
            pytest.raises(openai.InternalServerError) as caught,
        ):
            client.images.generate(prompt="a man")
        assert caught.value.status_code == 503
        assert caught.value.code == "shutting_down"

    def test_nobody_there_and_too_slow(self, client: OpenAI) -> None:
        with pytest.raises(openai.APITimeoutError):
            client.with_options(max_retries=0, timeout=0.05).images.generate(
                prompt="a man", extra_body={"steps": 100}
            )
        with (
            OpenAI(base_url="http://127.0.0.1:9/v1", api_key="x", max_retries=0) as nobody,
            pytest.raises(openai.APIConnectionError),
        ):
            nobody.models.list()
