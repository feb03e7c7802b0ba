"""What the demo draws: six new people, and portraits of them that show each thing Limner does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.drawn import DrawnPerson, draw, new_people

if TYPE_CHECKING:
    from PIL.Image import Image

    from fusion import FusionRequest, FusionResult

Words = dict[str, str | int | bool]

# Women and men by turns, with their ages and moods on the photos they are known by.
CAST = (
    ("Ada", 28, "neutral"),
    ("Ben", 41, "smiling"),
    ("Cleo", 35, "smiling"),
    ("Dan", 24, "neutral"),
    ("Eve", 52, "smiling"),
    ("Finn", 33, "neutral"),
)
PHOTO_SIZE = 256  # pixels
WEIGHTS = (1.0, 0.7, 0.3, 0.0)  # the share of the first of two people
TOGETHER: Words = {"age": 60, "expression": "smiling", "glasses": True, "hat": True}
WORDINGS: tuple[tuple[str, Words], ...] = (
    ("25, surprised, on pink", {"age": 25, "expression": "surprised", "background": "pink"}),
    ("70, smiling, in a park", {"age": 70, "expression": "smiling", "background": "park"}),
    ("glasses, teal shirt", {"age": 40, "glasses": True, "clothing": "teal"}),
    ("hat, sad, at sunset", {"age": 40, "hat": True, "background": "sunset", "expression": "sad"}),
    ("blond, facing left", {"age": 30, "hair": "blond", "view": "left", "background": "blue"}),
)
SAME_WORDS: Words = {
    "age": 30,
    "expression": "smiling",
    "glasses": True,
    "clothing": "white",
    "background": "green",
}


@dataclass(frozen=True)
class Model:
    """One of the demo's people: a name to call them by, and their photo."""

    name: str
    person: DrawnPerson


@dataclass(frozen=True)
class Commission:
    """One portrait to be drawn.

    sources: whose faces, with their weights; target: into whose portrait, None for a free one.
    """

    file: str
    caption: str
    sources: tuple[tuple[Model, float], ...]
    words: Words = field(default_factory=dict)
    target: Model | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """The names of all who take part, the target's own person last."""
        names = tuple(model.name for model, _ in self.sources)
        return (*names, self.target.name) if self.target else names

    def request(self, seed: int) -> "FusionRequest":
        """The request that draws it."""
        from fusion import FusionRequest, Identity

        return FusionRequest(
            identities=tuple(
                Identity(image=model.person.picture, weight=weight)
                for model, weight in self.sources
            ),
            target=self.target.person.picture if self.target else None,
            attributes=self.words,
            seed=seed,
        )


@dataclass(frozen=True)
class Painted:
    """A commission and what became of it."""

    commission: Commission
    result: "FusionResult"

    @property
    def picture(self) -> "Image":
        """The portrait."""
        return self.result.images[0]


@dataclass(frozen=True)
class Programme:
    """Everything the demo draws, in the sheet's order."""

    models: tuple[Model, ...]
    by_weight: tuple[Commission, ...]
    into_target: tuple[Commission, ...]
    one_person: tuple[Commission, ...]
    one_wording: tuple[Commission, ...]

    def commissions(self) -> Iterator[Commission]:
        """All portraits to draw."""
        yield from self.by_weight
        yield from self.into_target
        yield from self.one_person
        yield from self.one_wording


def meet_models(seed: int) -> Iterator[Model]:
    """Six people never seen in training, three women and three men, one by one."""
    women = new_people(3, seed, "woman")
    men = new_people(3, seed, "man")
    seeds = [identity for pair in zip(women, men, strict=True) for identity in pair]
    plain: dict[str, object] = {"hat": False, "view": "front"}  # a photo that shows who it is
    for (name, age, mood), identity in zip(CAST, seeds, strict=True):
        yield Model(name, draw(identity, {**plain, "age": age, "expression": mood}, PHOTO_SIZE))


def plan(models: Sequence[Model]) -> Programme:
    """The portraits to draw of these six."""
    ada, ben, cleo, dan, eve, finn = models
    return Programme(
        models=tuple(models),
        by_weight=tuple(_by_weight(ada, eve, share) for share in WEIGHTS),
        into_target=(_into(cleo, ada), _into(finn, ben)),
        one_person=tuple(
            Commission(f"words-{number}.png", caption, ((dan, 1.0),), {"gender": "man", **words})
            for number, (caption, words) in enumerate(WORDINGS, 1)
        ),
        one_wording=tuple(
            Commission(
                f"same-words-{model.name.lower()}.png", model.name, ((model, 1.0),),
                {"gender": _gender(model), **SAME_WORDS},
            )
            for model in models
        ),
    )  # fmt: skip


def _by_weight(first: Model, second: Model, share: float) -> Commission:
    percent = round(100 * share)
    return Commission(
        f"weights-{percent}-{100 - percent}.png",
        f"{percent} % {first.name}, {100 - percent} % {second.name}",
        ((first, share), (second, 1.0 - share)),
        {"gender": _gender(first), **TOGETHER},
    )


def _into(source: Model, target: Model) -> Commission:
    file = f"{source.name.lower()}-into-{target.name.lower()}.png"
    caption = f"{source.name} in {target.name}'s portrait"
    seen = target.person.attributes
    words: Words = {
        "gender": _gender(source), "age": seen["age"], "expression": seen["expression"]
    }  # fmt: skip
    return Commission(file, caption, ((source, 1.0),), words, target)


def _gender(model: Model) -> str:
    return str(model.person.attributes["gender"])
