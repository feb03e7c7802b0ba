"""What the bundle's judges say of the demo's portraits; judges never took part in drawing them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cli.drawn import DrawnPerson, draw
from cli.showcase import PHOTO_SIZE, Model, Painted, Words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eval import Judges
    from models import FaceAnalyser


@dataclass(frozen=True)
class Obeyed:
    """One attribute asked for, and what the judge saw in its place."""

    attribute: str
    asked: str
    seen: str

    @property
    def holds(self) -> bool:
        """Whether the portrait shows what was asked for."""
        return self.asked == self.seen


@dataclass(frozen=True)
class Score:
    """A portrait as the judges see it.

    similarity: cosine to the photo of each person, by name (every one of the six); 0 where no face
    was found. obeyed: one entry for each attribute that was asked for and can be judged.
    """

    similarity: Mapping[str, float]
    obeyed: tuple[Obeyed, ...]


class Jury:
    """The judges, and the six people as they know them."""

    def __init__(self, judges: "Judges", analyser: "FaceAnalyser", models: Sequence[Model]) -> None:
        self._judges = judges
        self._analyser = analyser
        self._known = {model.name: self._see_drawn(model.person) for model in models}
        self._models = tuple(models)

    def score(self, painted: Painted) -> Score:
        """Similarity to everybody, and the attributes obeyed."""
        image = np.asarray(painted.picture.convert("RGB"))
        faces = self._analyser.analyse(image)
        similarity = dict.fromkeys(self._known, 0.0)
        if faces:
            best = max(faces, key=lambda face: float(face.score))
            seen = self._judges.recogniser.embed([image], [best.landmarks])[0]
            similarity = {name: float(seen @ known) for name, known in self._known.items()}
        verdict = self._judges.attributes.judge([image])[0]
        return Score(similarity, tuple(_obeyed(painted.commission.words, verdict)))

    def ceiling(self) -> float:
        """Mean cosine of two real pictures of one person: what a perfect painter would reach."""
        cosines = [
            float(self._known[model.name] @ self._see_drawn(_another_picture(model.person)))
            for model in self._models
        ]
        return float(np.mean(cosines))

    def floor(self) -> float:
        """Mean cosine of the photos of two different people."""
        known = np.stack(list(self._known.values()))
        upper = np.triu_indices(len(known), k=1)
        return float((known @ known.T)[upper].mean())

    def _see_drawn(self, person: DrawnPerson) -> "NDArray[np.float32]":
        image = np.asarray(person.picture)
        embeddings = self._judges.recogniser.embed([image], [person.landmarks])
        return np.asarray(embeddings[0])


def _another_picture(person: DrawnPerson) -> DrawnPerson:
    return draw(person.seed, {}, PHOTO_SIZE, shot=1)


def _obeyed(words: Words, verdict: Mapping[str, str]) -> list[Obeyed]:
    """What was asked for, in the judge's classes; what it cannot judge is left out."""
    from world import age_group

    obeyed = []
    for attribute, value in words.items():
        if attribute not in verdict:
            continue
        if isinstance(value, bool):
            asked = "yes" if value else "no"
        elif attribute == "age":
            asked = age_group(int(value))
        else:
            asked = str(value)
        obeyed.append(Obeyed(attribute, asked, verdict[attribute]))
    return obeyed
