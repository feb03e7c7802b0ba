"""The cast of a measurement: held-out drawn people, their photos, and the looks asked for.

Seeds run from world.HELD_OUT on, which no training picture shows. Looks asked for are spread
evenly over every value, so that balanced accuracies rest on as many pictures as possible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from world import (
    HELD_OUT,
    LABELS,
    Look,
    Person,
    attributes_of,
    labels_of,
    render,
    sample_look,
    sample_person,
)

PHOTO_SIZE = 256  # side in pixels of the photos people are known by
# Ages asked for stay away from the borders of the groups (35, 55), where no answer is wrong.
AGE_BANDS = ((20, 30), (40, 50), (62, 75))


@dataclass(frozen=True)
class Photo:
    """A real picture of a drawn person: image uint8 [side, side, 3], landmarks float32 [5, 2]."""

    person: Person
    look: Look
    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


@dataclass(frozen=True)
class Wish:
    """What a portrait is asked to show of a person, and what a judge should answer.

    labels: head to class; None where the look does not show it (the hair colour under a hat).
    """

    person: Person
    look: Look
    attributes: Mapping[str, str | int | bool]
    labels: Mapping[str, str | None]


def held_out_people(count: int, first: int = 0) -> list[Person]:
    """`count` people no model was trained on, from the `first` held-out seed on."""
    return [sample_person(HELD_OUT + first + index) for index in range(count)]


def photograph(person: Person, look: Look, size: int = PHOTO_SIZE) -> Photo:
    """The person in that look, as the renderer draws it."""
    portrait = render(person, look, size)
    return Photo(person, look, portrait.image, portrait.landmarks)


def snapshot(person: Person, rng: np.random.Generator, size: int = PHOTO_SIZE) -> Photo:
    """The person in a look of chance."""
    return photograph(person, sample_look(rng, person), size)


def wish(person: Person, look: Look) -> Wish:
    """The look as a request for that person."""
    return Wish(person, look, attributes_of(person, look), labels_of(person, look))


def balanced_wishes(people: Sequence[Person], seed: int) -> list[Wish]:
    """One wish per person; over all of them every value is asked for equally often.

    What a person cannot show is left as nature made it: a woman's beard, a bald man's hair colour.
    """
    rng = np.random.default_rng([HELD_OUT, seed])
    count = len(people)
    columns = {name: _spread(rng, classes, count) for name, classes in LABELS.items()}
    bands = _spread(rng, ("0", "1", "2"), count)
    # Half of the wishes change the hair's colour; under a hat or at a great age it is not seen.
    dyed = _spread(rng, ("no", "yes"), count)
    wishes = []
    for index, person in enumerate(people):
        low, high = AGE_BANDS[int(bands[index])]
        chosen: dict[str, object] = {
            name: columns[name][index]
            for name in ("expression", "clothing", "background", "light", "view")
        }
        chosen |= {name: columns[name][index] == "yes" for name in ("glasses", "earrings", "hat")}
        chosen["beard"] = columns["beard"][index] == "yes" and person.gender == "man"
        chosen["age"] = int(rng.integers(low, high + 1))
        is_dyed = dyed[index] == "yes" and not person.is_bald
        chosen["hair"] = columns["hair"][index] if is_dyed else None
        wishes.append(wish(person, sample_look(rng, person, **chosen)))
    return wishes


def words_of(attributes: Mapping[str, str | int | bool], most: int = 6) -> str:
    """A short line for a sheet: what is asked for, the telling attributes first."""
    worn = [key for key in ("hat", "glasses", "beard", "earrings") if attributes.get(key)]
    parts = [str(attributes.get("age", "")), str(attributes.get("expression", "")), *worn]
    parts.append(f"{attributes['background']}" if "background" in attributes else "")
    parts.append(f"{attributes['clothing']} shirt" if "clothing" in attributes else "")
    return ", ".join([part for part in parts if part][:most])


def _spread(rng: np.random.Generator, values: Sequence[str], count: int) -> list[str]:
    """`count` values in random order, each as often as any other (but for the remainder)."""
    repeated = np.resize(np.array(values, dtype=object), count)
    return [str(value) for value in rng.permutation(repeated)]
