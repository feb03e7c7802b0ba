"""From what is set on the page to the request of the API."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompting import Attributes, describe_attributes
from serving.page.wish import (
    OPEN,
    WITH,
    WITHOUT,
    PersonWish,
    Wish,
    attributes_of,
    control_value,
    optimize_request,
    portrait_request,
    shares,
    slot_of_identity,
)
from serving.page.words import presets


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file; nobody looks into it here."""
    file = tmp_path / "a.png"
    file.write_bytes(b"a picture")
    return file


def test_what_is_left_open_is_not_sent() -> None:
    everything_open: dict[str, str | list[str] | None] = {
        described.key: OPEN for described in describe_attributes()
    }
    everything_open |= {"marks": [], "lens": None, "exclude": "  "}
    assert attributes_of(everything_open) == {}
    request = portrait_request(Wish())
    assert request.attributes is None
    assert not request.identities
    sent = request.model_dump(exclude_none=True)
    assert not {"attributes", "text", "target", "strength", "seed", "size", "min_identity",
                "guidance_scale", "identity_scale"} & set(sent)  # fmt: skip


def test_controls_become_what_the_api_takes() -> None:
    asked = attributes_of(
        {
            "age": "60", "glasses": WITH, "hat": WITHOUT, "makeup": "red lipstick",
            "hair": "salt and pepper", "marks": ["freckles", "scar"],
            "exclude": "text, watermark，手", "beard": OPEN,
        }
    )  # fmt: skip
    assert asked == {
        "age": 60, "glasses": True, "hat": "none", "makeup": "red lipstick",
        "hair": "salt and pepper", "marks": ["freckles", "scar"],
        "exclude": ["text", "watermark", "手"],
    }  # fmt: skip
    Attributes(**asked)


def test_a_range_of_ages_stays_a_range() -> None:
    assert attributes_of({"age": "30-40"}) == {"age": "30-40"}


@pytest.mark.parametrize("look", presets(), ids=lambda look: look.name)
def test_a_look_comes_back_from_its_controls_as_it_went_in(look: object) -> None:
    wished = {key: control_value(key, value) for key, value in look.attributes.items()}  # type: ignore[attr-defined]
    assert Attributes(**attributes_of(wished)) == Attributes(**look.attributes)  # type: ignore[attr-defined]


def test_people_go_with_photo_weight_and_face(photo: Path) -> None:
    people = (PersonWish(photo, 70), PersonWish(None, 50), PersonWish(photo, 30, face=2))
    request = portrait_request(Wish(people=people))
    assert [(p.weight, p.face) for p in request.identities] == [(0.7, None), (0.3, 2)]
    assert base64.b64decode(request.identities[0].image or "") == b"a picture"
    assert slot_of_identity(Wish(people=people), 1) == 2
    assert slot_of_identity(Wish(people=people), 2) is None


def test_a_target_brings_its_strength_and_takes_no_size(photo: Path) -> None:
    wish = Wish(target=photo, strength=0.6, target_face=2, size="96x128")
    request = portrait_request(wish)
    assert (request.strength, request.target_face, request.size) == (0.6, 2, None)
    free = portrait_request(Wish(strength=0.6, target_face=2, size="96x128"))
    assert (free.strength, free.target_face, free.size) == (None, None, (96, 128))


def test_settings_go_as_they_are() -> None:
    wish = Wish(
        steps=12, guidance_scale=3.0, identity_scale=0.8, seed=0, count=4, mode="fast",
        min_identity=0.4, text="  一位老人 ",
    )  # fmt: skip
    request = portrait_request(wish)
    assert (request.steps, request.seed, request.count, request.mode) == (12, 0, 4, "fast")
    assert (request.guidance_scale, request.identity_scale) == (3.0, 0.8)
    assert (request.min_identity, request.text, request.stream) == (0.4, "一位老人", True)
    assert portrait_request(Wish()).steps == "auto"
    assert portrait_request(Wish(steps="few")).steps == "few"


def test_nothing_said_asks_for_no_prompt() -> None:
    assert optimize_request(Wish(text="  ")) is None
    asked = optimize_request(Wish(text="a hat", attributes={"age": 60}))
    assert asked is not None
    assert (asked.text, asked.attributes) == ("a hat", {"age": 60})


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=8))
def test_shares_make_a_hundred_and_follow_the_weights(
    given_people: list[tuple[bool, float]],
) -> None:
    people = [PersonWish(Path("a") if there else None, weight) for there, weight in given_people]
    told = shares(people)
    assert [share is not None for share in told] == [there for there, _ in given_people]
    total = sum(weight for there, weight in given_people if there)
    if total > 0:
        assert sum(share or 0 for share in told) == 100
        for (there, weight), share in zip(given_people, told, strict=True):
            assert not there or abs((share or 0) - 100 * weight / total) <= 1.001
