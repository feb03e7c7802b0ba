"""The cases of a suite: one person, one wish, one seed, the same in every arm."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.ab.errors import SuiteInvalid
from eval.ab.suite import DrawnPeople, PhotoPeople, Suite
from eval.people import Wish, balanced_wishes, held_out_people, photograph, snapshot
from prompting import Attributes, structured_prompt, wordy_prompt
from world import HELD_OUT, LABELS, Person, wordy_sentence

PHOTO_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
Picture = NDArray[np.uint8]
_MOST_CASES: Final = 10_000_000  # of a suite


@dataclass(frozen=True)
class CasePictures:
    """Pictures of a case, uint8 RGB [height, width, 3].

    photo: what the drawing is given; other: another picture of the person; wished: a real picture
    of the wish. None where there is none.
    """

    photo: Picture
    other: Picture | None
    wished: Picture | None


@dataclass(frozen=True)
class SuiteCase:
    """What is drawn and judged by.

    unit: the person's number, cases of one person are no independent evidence. asked: attribute to
    what a judge should answer. words_seed: for the sentence, which is one of many that say the
    same. make_pictures: draws or reads the pictures, when they are first asked for.
    """

    number: int
    unit: int
    person: str
    style: str
    attributes: Mapping[str, str | int | bool]
    text: str
    asked: Mapping[str, str]
    seed: int
    make_pictures: Callable[[], CasePictures]
    words_seed: tuple[int, ...] = field(default=())

    @cached_property
    def pictures(self) -> CasePictures:
        """The case's pictures, made once."""
        return self.make_pictures()

    def sentence(self, leave_out: Sequence[str] = ()) -> str:
        """The wish as a person would write it, without some attributes."""
        if self.text:
            return self.text
        said = {key: value for key, value in self.attributes.items() if key not in leave_out}
        if self.words_seed:
            return wordy_sentence(said, np.random.default_rng(list(self.words_seed)))
        return wordy_prompt(Attributes.model_validate(said))

    @property
    def wish_in_words(self) -> str:
        """The wish as a prompt, the same for every arm: what pictures are held against."""
        said = structured_prompt(Attributes.model_validate(dict(self.attributes)))
        return ", ".join(part for part in (said, self.text) if part)

    @property
    def wish(self) -> str:
        """The wish in a line, for people who read a report."""
        told = [_told(key, value) for key, value in self.attributes.items()]
        return ", ".join(part for part in (self.text, *told) if part)


class Cases(Protocol):
    """The cases of a suite, made as they are asked for; one person's stand together."""

    @abstractmethod
    def __len__(self) -> int: ...
    @abstractmethod
    def __getitem__(self, number: int) -> SuiteCase: ...
    def unit_of(self, number: int) -> int:
        """The number of the case's person, without making the case."""
        ...

    def heads(self) -> tuple[str, ...]:
        """The attributes that are asked for, of one case or another."""
        ...

    def have_others(self) -> bool:
        """Whether there is a second picture, of one person at least."""
        ...

    def of_first_person(self) -> range:
        """The cases of the first person: one of every wish there is, where wishes are shared."""
        ...

    def content(self) -> str:
        """sha256 of what the suite's own text does not say: the pictures it is made of."""
        ...


def cases_of(suite: Suite, seed: int, size: int) -> Cases:
    """The cases of a suite. seed: of the wishes, photos and noise; size: of wished pictures.

    Raises SuiteInvalid where nobody is there.
    """
    if suite.drawn is not None:
        return DrawnCases(suite.drawn, seed, size)
    assert suite.photos is not None
    return PhotoCases(suite.photos, suite, seed)


class DrawnCases:
    """People of the drawn world nobody trained on; every value is asked for equally often."""

    def __init__(self, drawn: DrawnPeople, seed: int, size: int) -> None:
        self._drawn, self._seed, self._size = drawn, seed, size
        self._first = drawn.first + seed * drawn.people

    def __len__(self) -> int:
        return self._drawn.people * self._drawn.wishes * self._drawn.seeds

    def unit_of(self, number: int) -> int:
        return number // (self._drawn.wishes * self._drawn.seeds)

    def heads(self) -> tuple[str, ...]:
        return tuple(LABELS)

    def have_others(self) -> bool:
        return True

    def of_first_person(self) -> range:
        return range(self._drawn.wishes * self._drawn.seeds)

    def content(self) -> str:
        return hashlib.sha256(str(self._first).encode()).hexdigest()

    @cached_property
    def _people(self) -> list[Person]:
        return held_out_people(self._drawn.people, self._first)

    @cached_property
    def _wishes(self) -> list[list[Wish]]:
        """By number of the wish, then by person."""
        first = self._first * self._drawn.wishes
        return [balanced_wishes(self._people, first + n) for n in range(self._drawn.wishes)]

    def __getitem__(self, number: int) -> SuiteCase:
        unit, rest = divmod(number, self._drawn.wishes * self._drawn.seeds)
        person, wish = self._people[unit], self._wishes[rest // self._drawn.seeds][unit]

        def pictures() -> CasePictures:
            rng = np.random.default_rng([HELD_OUT, person.seed])
            photo, other = (snapshot(person, rng).image for _ in range(2))
            return CasePictures(photo, other, photograph(person, wish.look, self._size).image)

        return SuiteCase(
            number=number,
            unit=unit,
            person=f"person {person.seed}",
            style="",
            attributes=dict(wish.attributes),
            text="",
            asked={head: value for head, value in wish.labels.items() if value is not None},
            seed=noise_seed(self._seed, number),
            make_pictures=pictures,
            words_seed=(HELD_OUT, self._seed, number // self._drawn.seeds),
        )


class PhotoCases:
    """Photographs in a folder: a sub-folder for each person, or a picture for each."""

    def __init__(self, photos: PhotoPeople, suite: Suite, seed: int) -> None:
        self._photos, self._prompts, self._seed = photos, suite.prompts, seed
        self._people = people_in(suite.folder_of(photos))
        for _, files in self._people:
            for file in files[:2]:
                _check_picture(file)

    def __len__(self) -> int:
        return len(self._people) * len(self._prompts) * self._photos.seeds

    def unit_of(self, number: int) -> int:
        return number // (len(self._prompts) * self._photos.seeds)

    def heads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for one in self._prompts for key in one.attributes))

    def have_others(self) -> bool:
        return any(len(files) > 1 for _, files in self._people)

    def of_first_person(self) -> range:
        return range(len(self._prompts) * self._photos.seeds)

    def content(self) -> str:
        digest = hashlib.sha256()
        for name, files in self._people:
            digest.update(name.encode())
            for file in files:
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def __getitem__(self, number: int) -> SuiteCase:
        from models import read_image

        unit, rest = divmod(number, len(self._prompts) * self._photos.seeds)
        prompt_number = rest // self._photos.seeds
        name, files = self._people[unit]
        prompt = self._prompts[prompt_number]

        def pictures() -> CasePictures:
            photo, *others = (np.asarray(read_image(file)) for file in files[:2])
            return CasePictures(photo, others[0] if others else None, None)

        return SuiteCase(
            number=number,
            unit=unit,
            person=name,
            style=prompt.style,
            attributes=dict(prompt.attributes),
            text=prompt.text,
            asked={
                key: _label(value)
                for key, value in prompt.attributes.items()
                if isinstance(value, str | bool)
            },
            seed=noise_seed(self._seed, number),
            make_pictures=pictures,
        )


def noise_seed(seed: int, number: int) -> int:
    """Of a case's noise: its own, for noise that people shared would make them one piece of
    evidence, and another for every seed of the config.
    """
    return seed * _MOST_CASES + number


def people_in(folder: Path) -> list[tuple[str, list[Path]]]:
    """Name and pictures of each person, in the order of names. Raises SuiteInvalid."""
    if not folder.is_dir():
        raise SuiteInvalid(f"{folder} is no folder: [photos] folder names one, beside the suite")
    people = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        found = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        pictures = [file for file in found if file.suffix.lower() in PHOTO_SUFFIXES]
        if pictures:
            people.append((entry.stem if entry.is_file() else entry.name, pictures))
    if not people:
        raise SuiteInvalid(
            f"{folder} holds nobody: put a sub-folder of pictures there for each person, or one "
            f"picture for each ({', '.join(PHOTO_SUFFIXES)})"
        )
    return people


def _check_picture(file: Path) -> None:
    """Raises SuiteInvalid for what is no picture, before one person's portraits are drawn."""
    from models import ImageRejected, read_image

    try:
        read_image(file)
    except ImageRejected as error:
        raise SuiteInvalid(str(error)) from error


def _label(value: str | bool) -> str:
    return value if isinstance(value, str) else ("yes" if value else "no")


def _told(key: str, value: str | int | bool) -> str:
    if isinstance(value, bool):
        return key if value else f"no {key}"
    return f"{key} {value}"
