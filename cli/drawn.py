"""Drawn people for the commands: new ones, their pictures, and the truth about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from cli.errors import OptionRejected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_PEOPLE = 1_000_000  # how many different ones there are to meet


@dataclass(frozen=True)
class DrawnPerson:
    """A picture of a person (RGB, square) and the truth about it.

    attributes: in the keys and values of prompting's schema; landmarks: float32 [5, 2], pixels.
    """

    seed: int
    picture: "Image"
    attributes: dict[str, str | int | bool]
    landmarks: "NDArray[np.float32]"

    @property
    def words(self) -> str:
        """The attributes as the prompt would say them."""
        from prompting import Attributes, structured_prompt

        return structured_prompt(Attributes(**self.attributes))


@dataclass(frozen=True)
class Wish:
    """What every new person must be, and what every picture must show."""

    gender: str | None
    look: dict[str, object]


def read_wish(settings: Sequence[str] | None) -> Wish:
    """What `--set` asks of drawn people.

    Raises OptionRejected for what cannot be drawn, UnknownAttribute, InvalidAttribute.
    """
    import numpy as np

    from prompting import AgeRange, parse_settings
    from world import HELD_OUT, LABELS, sample_look, sample_person

    look: dict[str, object] = {}
    attributes = parse_settings(settings or ())
    if beyond := attributes.model_fields_set - set(LABELS):
        raise OptionRejected(
            f"drawn people have no {', '.join(sorted(beyond))}; they have {', '.join(LABELS)}"
        )
    if attributes.gender not in (None, *LABELS["gender"]):
        raise OptionRejected(
            f"drawn people are {' or '.join(LABELS['gender'])}, not gender={attributes.gender}"
        )
    if isinstance(attributes.age, AgeRange):
        raise OptionRejected(f"age takes one number here, not the range {attributes.age}")
    for key in attributes.model_fields_set - {"gender"}:
        value = getattr(attributes, key)
        look[key] = bool(value) if key in ("glasses", "beard", "hat", "earrings") else value
    try:
        sample_look(np.random.default_rng(0), sample_person(HELD_OUT), **look)
    except (TypeError, ValueError) as error:
        raise OptionRejected(str(error)) from error
    return Wish(attributes.gender, look)


def new_people(count: int, seed: int | None, gender: str | None = None) -> list[int]:
    """Seeds of distinct people never seen in training; `seed` None: others every time."""
    return list(islice(_endless_people(seed, gender), count))


def draw(identity: int, look: dict[str, object], size: int, shot: int = 0) -> DrawnPerson:
    """A picture of the person of that seed, the same for the same arguments on any machine.

    shot: other numbers give other pictures of the same person.
    """
    import numpy as np
    from PIL import Image

    from world import attributes_of, render, sample_look, sample_person

    person = sample_person(identity)
    chosen = sample_look(np.random.default_rng([identity, shot]), person, **look)
    portrait = render(person, chosen, size=size)
    return DrawnPerson(
        seed=identity,
        picture=Image.fromarray(portrait.image),
        attributes=attributes_of(person, chosen),
        landmarks=portrait.landmarks,
    )


def _endless_people(seed: int | None, gender: str | None) -> Iterator[int]:
    import numpy as np

    from world import HELD_OUT, sample_person

    rng = np.random.default_rng(seed)
    met: set[int] = set()
    while True:
        identity = int(rng.integers(HELD_OUT, HELD_OUT + _PEOPLE))
        if identity not in met and (gender is None or sample_person(identity).gender == gender):
            met.add(identity)
            yield identity
