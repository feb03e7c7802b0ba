"""OpenAI's Images API, word by word: what its clients send, and what they expect to get.

What cannot mean anything here (moderation, style, user …) is taken and has no effect; what would
mean something that is not offered (transparent pictures, GIF, SVG) is refused.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from fusion import Role
from serving.answers import as_base64
from serving.errors import BadRequest
from serving.feed import Outcome
from serving.intake import Payloads
from serving.orders import Native, choose_seed, fit_size, picture_size, settings_of
from serving.packet import Order, OrderedPerson
from serving.wire import (
    Answer,
    DrawingSettings,
    Flag,
    OutputFormat,
    Person,
    PortraitAnswer,
    Real,
    Whole,
    Words,
    read_size,
)

MOST_IMAGES: Final = 10
WIDEST: Final = 3.0  # a side over the other, as OpenAI has it
Quality = Literal["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"]
ImageRole = Literal["target", "person"]
_FINE: Final = ("high", "xhigh", "max", "hd")


class ImageSettings(DrawingSettings):
    """What both calls share; the settings of DrawingSettings travel in the SDK's extra_body.

    optimize: whether the prompt is made short first, or used as it is.
    """

    prompt: Annotated[Words, Field(min_length=1, pattern=r"\S")]
    model: str | None = None
    n: Annotated[Whole, Field(ge=1, le=MOST_IMAGES)] | None = None
    size: Annotated[str, Field(max_length=32)] | None = None
    quality: Quality | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] | None = None
    output_compression: Annotated[Whole, Field(ge=0, le=100)] | None = None
    response_format: Literal["b64_json", "url"] | None = None
    moderation: Literal["low", "auto"] | None = None
    style: Literal["vivid", "natural"] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    complexity: Literal["low", "medium", "high"] | None = None
    stream: Flag | None = None
    partial_images: Annotated[Whole, Field(ge=0, le=3)] | None = None
    optimize: Flag = True


class GenerationRequest(ImageSettings):
    """A new portrait. identities: whose, by weight; as in /v1/portraits."""

    identities: Annotated[tuple[Person, ...], Field(max_length=8)] = ()


class EditRequest(ImageSettings):
    """A given portrait anew, or other people's faces in it.

    One picture is the target, whose own person is kept. Of several, the first is the target and the
    others are the people whose face it gets. image_roles says otherwise, for each picture; weights:
    of the people among them, in their order.
    """

    input_fidelity: Literal["high", "low"] | None = None
    image_roles: Annotated[list[ImageRole], Field(max_length=16)] | None = None
    weights: Annotated[list[Real], Field(max_length=16)] | None = None


class TokenDetails(Answer):
    """Tokens by what they stand for."""

    text_tokens: int
    image_tokens: int


class TokenUsage(Answer):
    """OpenAI's account. Text tokens are the prompt's; faces and pictures take none here, nor does
    what is drawn: `limner.usage` has what it really cost.
    """

    input_tokens: int
    input_tokens_details: TokenDetails
    output_tokens: int
    output_tokens_details: TokenDetails
    total_tokens: int


class ImageDatum(Answer):
    """One picture. revised_prompt: what it was drawn from."""

    b64_json: str
    revised_prompt: str


class ImagesAnswer(Answer):
    """OpenAI's answer; `limner` has all that /v1/portraits would tell, without the pictures."""

    created: int
    data: tuple[ImageDatum, ...]
    background: Literal["opaque"] = "opaque"
    output_format: OutputFormat
    quality: Literal["low", "medium", "high"]
    size: str
    usage: TokenUsage
    limner: PortraitAnswer


class ImageEvent(Answer):
    """A partial picture, or a finished one; of OpenAI's stream."""

    type: str
    b64_json: str
    background: Literal["opaque"] = "opaque"
    created_at: int
    output_format: OutputFormat
    quality: Literal["low", "medium", "high"]
    size: str
    partial_image_index: int | None = None
    usage: TokenUsage | None = None
    limner: PortraitAnswer | None = None


def order_generation(wish: GenerationRequest, payloads: Payloads, native: Native) -> Order:
    """The order of a generation. Raises BadRequest, ImageRejected."""
    people = tuple(payloads.person(number, one) for number, one in enumerate(wish.identities, 1))
    asked = asked_size(wish.size)
    drawn, notes = _drawn_size(asked, native.size)
    return _order(
        wish,
        "generation",
        people=people,
        drawn=drawn,
        shown=asked,
        native=native,
        downgrades=notes,
    )


def order_edit(
    wish: EditRequest,
    images: list[bytes],
    mask: bytes | None,
    payloads: Payloads,
    native: Native,
) -> Order:
    """The order of an edit. Raises BadRequest, ImageRejected."""
    others: list[ImageRole] = ["person"] * (len(images) - 1)
    roles: list[ImageRole] = wish.image_roles or ["target", *others]
    if len(roles) != len(images):
        raise BadRequest(
            "invalid_request",
            f"{len(roles)} image_roles for {len(images)} pictures: give one for each",
            param="image_roles",
        )
    if roles.count("target") > 1:
        raise BadRequest(
            "invalid_request", "only one picture can be the target", param="image_roles"
        )
    weights = wish.weights or [1.0] * roles.count("person")
    if len(weights) != roles.count("person"):
        raise BadRequest(
            "invalid_weights",
            f"{len(weights)} weights for {roles.count('person')} people: give one for each",
            param="weights",
        )
    target, people, left = None, [], iter(weights)
    for number, (role, data) in enumerate(zip(roles, images, strict=True), 1):
        name = f"image {number}"
        if role == "target":
            target = payloads.picture(Role.TARGET, name, data)
        else:
            given = payloads.picture(Role.IDENTITY, name, data)
            people.append(
                OrderedPerson(given=given, name=name, embedded=False, weight=next(left), face=None)
            )
    if mask is not None and target is None:
        raise BadRequest("invalid_request", "a mask needs a target to lie on", param="mask")
    masked = None if mask is None else payloads.mask("mask", mask)
    asked = asked_size(wish.size)
    drawn, notes = (None, ()) if target is not None else _drawn_size(asked, native.size)
    if target is not None and asked is not None:
        width, height = picture_size(payloads.kept[target])
        if abs(width / height - asked[0] / asked[1]) > 0.01:
            notes = (
                f"size: the target's shape of {width}×{height} is kept, as large as fits into "
                f"{asked[0]}×{asked[1]}",
            )
    return _order(
        wish,
        "edit",
        people=tuple(people),
        drawn=drawn,
        shown=asked,
        native=native,
        downgrades=notes,
        target=target,
        mask=masked,
    )


def asked_size(text: str | None) -> tuple[int, int] | None:
    """(width, height) of "WIDTHxHEIGHT"; None for "auto". Raises BadRequest."""
    if text is None or text == "auto":
        return None
    try:
        width, height = read_size(text)
    except ValueError as error:
        raise BadRequest("invalid_size", f"{error}, or auto", param="size") from error
    if not (64 <= width <= 2048 and 64 <= height <= 2048):
        raise BadRequest(
            "invalid_size", f"size {text}: give sides from 64 to 2048 pixels", param="size"
        )
    if max(width / height, height / width) > WIDEST:
        raise BadRequest(
            "invalid_size",
            f"size {text}: a side may be at most three times the other",
            param="size",
        )
    return width, height


def token_usage(text_tokens: int) -> TokenUsage:
    """OpenAI's account of a request."""
    return TokenUsage(
        input_tokens=text_tokens,
        input_tokens_details=TokenDetails(text_tokens=text_tokens, image_tokens=0),
        output_tokens=0,
        output_tokens_details=TokenDetails(text_tokens=0, image_tokens=0),
        total_tokens=text_tokens,
    )


def images_answer(outcome: Outcome, portrait: PortraitAnswer) -> ImagesAnswer:
    """The answer of both calls."""
    order, report = outcome.job.packet.order, outcome.job.packet.report
    assert report is not None, "only of a job that is completed"
    first = report.pictures[0]
    return ImagesAnswer(
        created=int(outcome.job.created),
        data=tuple(
            ImageDatum(b64_json=as_base64(data), revised_prompt=report.prompt.prompt)
            for data in outcome.pictures
        ),
        output_format=order.output_format,
        quality=shown_quality(order.quality),
        size=f"{first.width}x{first.height}",
        usage=token_usage(report.usage.tokens),
        limner=portrait,
    )


def shown_quality(quality: str) -> Literal["low", "medium", "high"]:
    """A quality in the words that an answer may have."""
    if quality in _FINE:
        return "high"
    return "low" if quality == "low" else "medium"


def _order(
    wish: GenerationRequest | EditRequest,
    kind: Literal["generation", "edit"],
    *,
    people: tuple[OrderedPerson, ...],
    drawn: tuple[int, int] | None,
    shown: tuple[int, int] | None,
    native: Native,
    downgrades: tuple[str, ...],
    target: int | None = None,
    mask: int | None = None,
) -> Order:
    settings = settings_of(wish)
    quality = wish.quality or "auto"
    if quality == "low":
        settings["mode"] = "fast"
    elif quality in _FINE and wish.steps == "auto":
        settings["steps"] = native.steps
    return Order(
        **settings,
        kind=kind,
        people=people,
        target=target,
        mask=mask,
        text=wish.prompt if wish.optimize else None,
        prompt=None if wish.optimize else wish.prompt,
        drawn_size=drawn,
        shown_size=shown,
        chosen_seed=choose_seed(wish.seed),
        count=wish.n or 1,
        previews=(wish.partial_images or 0) if wish.stream else 0,
        output_format=_output_format(wish),
        output_compression=95
        if wish.output_compression is None
        else max(wish.output_compression, 1),
        quality=quality,
        downgrades=downgrades,
    )


def _output_format(wish: ImageSettings) -> OutputFormat:
    if wish.background == "transparent":
        raise BadRequest(
            "unsupported", "portraits have a background: ask for opaque", param="background"
        )
    if wish.response_format == "url":
        raise BadRequest(
            "unsupported",
            "pictures come in the answer, not at an address: ask for b64_json",
            param="response_format",
        )
    if wish.output_format == "gif" or wish.output_format == "svg":
        raise BadRequest("unsupported", "pictures are png, jpeg or webp", param="output_format")
    return wish.output_format or "png"


def _drawn_size(
    asked: tuple[int, int] | None, native: tuple[int, int]
) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    if asked is None:
        return None, ()
    drawn = fit_size(asked, native)
    if drawn == asked:
        return drawn, ()
    return drawn, (
        f"size: drawn at {drawn[0]}×{drawn[1]}, for which the model was made, then resized to "
        f"{asked[0]}×{asked[1]}",
    )
