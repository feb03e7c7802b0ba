"""What a measurement works with: the bundle's models, the judges, how much is measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.judges import Judges

if TYPE_CHECKING:
    from rich.progress import Progress

    from fusion import Engine, FusionRequest
    from models import Bundle, Components, Face, FaceAnalyser

Item = TypeVar("Item")
Image = NDArray[np.uint8]
Landmarks = NDArray[np.floating]
EMBEDDING_WIDTH = 512


@dataclass(frozen=True)
class Extent:
    """How much is measured: numbers of people, of pictures of each, of pairs.

    gallery: other people beside the own in the top-1; poses: pictures from which it is learnt how
    landmarks tell a view; sheet_people, sheet_words: rows and columns
    of the sheet of words.
    """

    recogniser_people: int = 300
    recogniser_pictures: int = 4
    groups: int = 320
    portraits: int = 200
    gallery: int = 99
    pairs: int = 40
    targets: int = 60
    poses: int = 300
    parity_pictures: int = 2
    timed_pictures: int = 5
    sheet_people: int = 3
    sheet_words: int = 6

    @classmethod
    def full(cls) -> "Extent":
        """What a card is published with; the card says how long it took."""
        return cls()

    @classmethod
    def quick(cls) -> "Extent":
        """A first impression, several times quicker; its intervals are wide."""
        return cls(
            recogniser_people=40,
            groups=40,
            portraits=30,
            pairs=6,
            targets=10,
            poses=100,
            parity_pictures=1,
            timed_pictures=2,
            sheet_people=2,
            sheet_words=4,
        )


@dataclass(frozen=True)
class Bench:
    """Everything a measurement may use. `progress` None: nothing is shown."""

    bundle: "Bundle"
    components: "Components"
    engine: "Engine"
    analyser: "FaceAnalyser"
    judges: Judges
    extent: Extent
    progress: "Progress | None" = None

    @property
    def size(self) -> int:
        """Side in pixels of the bundle's portraits."""
        return self.bundle.manifest.size

    def fuse(self, request: "FusionRequest", instead: Image) -> Image:
        """The picture of a request, uint8 RGB; `instead` where a photo's face was not found.

        So a face that is missed costs the bundle its score, and never the whole measurement.
        """
        from models import FacesError

        try:
            return np.asarray(self.engine.fuse(request).images[0].convert("RGB"), dtype=np.uint8)
        except FacesError:
            return instead

    def track(self, items: Sequence[Item], text: str) -> Iterator[Item]:
        """The items, with a progress bar that says `text`."""
        if self.progress is None:
            yield from items
            return
        task = self.progress.add_task(text, total=len(items))
        for item in items:
            yield item
            self.progress.advance(task)


@dataclass(frozen=True)
class Sighting:
    """What the face analysis and the judge recogniser see in pictures.

    counts: int [n], faces found; embeddings: float32 [n, 512], the judge's, of the face with the
    highest score; zero where none was found, so that its similarity to anybody is zero. landmarks:
    of that face, float [5, 2] pixels; None where none was found.
    """

    counts: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    landmarks: tuple[Landmarks | None, ...]


def look_at(bench: Bench, images: Sequence[Image]) -> Sighting:
    """Find the face of each picture (uint8 RGB) with the bundle's detector; the judge sees it."""
    found = [bench.analyser.analyse(image) for image in images]
    embeddings = np.zeros((len(images), EMBEDDING_WIDTH), dtype=np.float32)
    landmarks = tuple(best_face(faces).landmarks if faces else None for faces in found)
    seen = {index: points for index, points in enumerate(landmarks) if points is not None}
    if seen:
        embeddings[list(seen)] = bench.judges.recogniser.embed(
            [images[index] for index in seen], list(seen.values())
        )
    counts = np.array([len(faces) for faces in found], dtype=np.int64)
    return Sighting(counts, embeddings, landmarks)


def best_face(faces: "Sequence[Face]") -> "Face":
    """The face found with the highest score."""
    return max(faces, key=lambda face: face.score)


def in_batches(
    function: Callable[[Sequence[Item]], NDArray[np.uint8]], items: Sequence[Item], size: int
) -> list[Image]:
    """The pictures that `function` makes of the items, `size` items at a time."""
    made: list[Image] = []
    for start in range(0, len(items), size):
        made.extend(function(items[start : start + size]))
    return made
