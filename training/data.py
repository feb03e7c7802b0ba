"""Pictures to train on: the drawn world, rendered once into a memory-mapped cache.

Pictures lie person by person, `pictures` of each, so another picture of the same person is a matter
of arithmetic. Attributes are stored as text beside the pixels; captions are made from them on the
fly, so that a picture is described in many ways. Rendering is parallel and goes on after a kill,
chunk by chunk.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from prompting import Attributes as Schema
from prompting import structured_prompt
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
    varied_caption,
    wordy_sentence,
)

PEOPLE_PER_CHUNK = 25
# What the judges and the text tower's helper heads tell apart, in the order of their logits.
HEADS: Mapping[str, tuple[str, ...]] = LABELS
UNSEEN = -1  # the label of a head whose answer the picture does not show

# Every portrait has these, so a caption may stay silent about them; an accessory that is not
# named is not worn.
ALWAYS_PRESENT = ("gender", "age", "expression", "hair", "clothing", "background", "light", "view")

AttributeValue = str | int | bool
Attributes = dict[str, AttributeValue]


class DatasetMismatch(ValueError):
    """The cache holds a dataset of another shape than was asked for."""


def label_row(person: Person, look: Look) -> NDArray[np.int8]:
    """The class of each head, int8 [heads], in the order of HEADS; UNSEEN where it is not shown."""
    truth = labels_of(person, look)
    classes = [
        UNSEEN if (name := truth[head]) is None else names.index(name)
        for head, names in HEADS.items()
    ]
    return np.array(classes, np.int8)


@dataclass(frozen=True)
class Caption:
    """A caption, and the attributes whose value it lets one know."""

    text: str
    said: frozenset[str]


@dataclass(frozen=True)
class _Shape:
    """What a cache directory holds."""

    size: int
    people: int
    pictures: int
    first_person: int

    @property
    def count(self) -> int:
        return self.people * self.pictures

    @property
    def chunks(self) -> int:
        return -(-self.people // PEOPLE_PER_CHUNK)


def _arrays(shape: _Shape) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    count, size = shape.count, shape.size
    return {
        "images": ((count, size, size, 3), np.uint8),
        "landmarks": ((count, 5, 2), np.float32),
        "boxes": ((count, 4), np.float32),
        "people": ((count,), np.int64),
        "labels": ((count, len(HEADS)), np.int8),
    }


def _open(directory: Path, name: str, mode: str) -> NDArray[np.generic]:
    return cast(
        "NDArray[np.generic]", np.load(directory / f"{name}.npy", mmap_mode=cast("None", mode))
    )


def _render_chunk(job: tuple[Path, _Shape, int]) -> int:
    """Draw one chunk of people into the arrays; its text file, written last, marks it done."""
    directory, shape, chunk = job
    import cv2

    cv2.setNumThreads(1)
    arrays = {name: _open(directory, name, "r+") for name in _arrays(shape)}
    lines: list[str] = []
    first = chunk * PEOPLE_PER_CHUNK
    for number in range(first, min(first + PEOPLE_PER_CHUNK, shape.people)):
        seed = shape.first_person + number
        person = sample_person(seed)
        for k in range(shape.pictures):
            rng = np.random.default_rng([seed, k])
            look = sample_look(rng, person)
            portrait = render(person, look, size=shape.size)
            attributes = attributes_of(person, look)
            index = number * shape.pictures + k
            arrays["images"][index] = portrait.image
            arrays["landmarks"][index] = portrait.landmarks
            arrays["boxes"][index] = portrait.box
            arrays["people"][index] = seed
            arrays["labels"][index] = label_row(person, look)
            lines.append(json.dumps({"attributes": attributes}))
    for array in arrays.values():
        cast("np.memmap[tuple[int, ...], np.dtype[np.generic]]", array).flush()
    target = _text_path(directory, chunk)
    temporary = target.with_suffix(f".{os.getpid()}")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(temporary, target)
    return chunk


def _text_path(directory: Path, chunk: int) -> Path:
    return directory / f"text-{chunk:04d}.jsonl"


@dataclass(frozen=True, eq=False)
class Pictures:
    """A rendered dataset. Arrays are memory-mapped and read-only; picture i belongs to person i //
    pictures.

    images uint8 [N, S, S, 3] RGB; landmarks float32 [N, 5, 2] pixels; boxes float32 [N, 4]; people
    int64 [N] seeds; labels int8 [N, heads] in the order of HEADS.
    """

    size: int
    pictures: int
    images: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    boxes: NDArray[np.float32]
    people: NDArray[np.int64]
    labels: NDArray[np.int8]
    attributes: Sequence[Attributes]

    def __len__(self) -> int:
        return len(self.people)

    @property
    def person_count(self) -> int:
        return len(self) // self.pictures

    @property
    def person_index(self) -> NDArray[np.int64]:
        """0 … person_count - 1 of every picture: the class of a margin loss."""
        return np.arange(len(self), dtype=np.int64) // self.pictures

    def label(self, head: str) -> NDArray[np.int8]:
        """int8 [N]: the class of one head."""
        return np.asarray(self.labels[:, list(HEADS).index(head)])

    def sample(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Indices of random pictures, int64 [count]."""
        return rng.integers(0, len(self), count)

    def another(self, rng: np.random.Generator, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each picture a different one of the same person (itself, if there is but one)."""
        if self.pictures == 1:
            return indices
        first = indices - indices % self.pictures
        shift = rng.integers(1, self.pictures, len(indices))
        return first + (indices % self.pictures + shift) % self.pictures

    def describe(
        self,
        rng: np.random.Generator,
        index: int,
        *,
        wordy: float = 0.15,
        varied: float = 0.7,
        drop: float = 0.12,
        fragment: float = 0.0,
    ) -> Caption:
        """A caption to train with: a sentence with probability `wordy`, with probability `varied` a
        prompt in other phrasings and another order, else the canonical prompt; each attribute that
        every portrait has is left unsaid with probability `drop`. With probability `fragment` only
        a few phrases of it without a subject, as negative prompts are written.
        """
        attributes = self.attributes[index]
        if rng.random() < fragment:
            phrases = short_caption(attributes).split(", ")[1:]
            chosen = rng.choice(len(phrases), min(len(phrases), int(rng.integers(1, 4))), False)
            return Caption(", ".join(phrases[k] for k in np.sort(chosen)), frozenset())
        said = {
            name: value
            for name, value in attributes.items()
            if name not in ALWAYS_PRESENT or rng.random() >= drop
        }
        kind = rng.random()
        if kind < wordy:
            text = wordy_sentence(said, rng)
        elif kind < wordy + varied:
            text = varied_caption(said, rng)
        else:
            text = short_caption(said)
        return Caption(text, frozenset(said))


def short_caption(attributes: Attributes) -> str:
    """The canonical prompt of some attributes."""
    return structured_prompt(Schema.model_validate(attributes))


def dataset(
    cache_dir: Path,
    size: int,
    people: int,
    pictures: int,
    workers: int = 1,
    *,
    first_person: int = 0,
) -> Pictures:
    """Render what is missing of a dataset, then open it.

    cache_dir: the training cache; the dataset has its own folder in it. size in pixels. workers:
    processes. Raises DatasetMismatch if the folder holds another shape.
    """
    shape = _Shape(size, people, pictures, first_person)
    directory = cache_dir / f"pictures-{size}-{first_person}-{people}x{pictures}"
    _prepare(directory, shape)
    missing = [c for c in range(shape.chunks) if not _text_path(directory, c).exists()]
    jobs = [(directory, shape, chunk) for chunk in missing]
    for done, _ in enumerate(_render_all(jobs, workers), start=shape.chunks - len(jobs) + 1):
        if done % 8 == 0 or done == shape.chunks:
            print(f"dataset  {done}/{shape.chunks} chunks of people drawn", flush=True)
    return _load(directory, shape)


def held_out(cache_dir: Path, size: int, people: int, pictures: int, workers: int = 1) -> Pictures:
    """The same for people no recipe trains on."""
    return dataset(cache_dir, size, people, pictures, workers, first_person=HELD_OUT)


def _prepare(directory: Path, shape: _Shape) -> None:
    """Lay out the arrays, once."""
    description = directory / "shape.json"
    if description.exists():
        found = json.loads(description.read_text(encoding="utf-8"))
        if found != asdict(shape):
            raise DatasetMismatch(f"{directory} holds {found}, not {asdict(shape)}; remove it")
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, (dimensions, kind) in _arrays(shape).items():
        np.lib.format.open_memmap(directory / f"{name}.npy", "w+", kind, dimensions).flush()
    description.write_text(json.dumps(asdict(shape)), encoding="utf-8")


def _render_all(jobs: Sequence[tuple[Path, _Shape, int]], workers: int) -> Iterator[int]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_render_chunk, jobs)
        return
    # spawn: a forked child would inherit the locks of torch's and OpenCV's threads
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        yield from pool.imap_unordered(_render_chunk, jobs)


def _load(directory: Path, shape: _Shape) -> Pictures:
    attributes: list[Attributes] = []
    for chunk in range(shape.chunks):
        text = _text_path(directory, chunk).read_text(encoding="utf-8")
        attributes.extend(json.loads(line)["attributes"] for line in text.splitlines())
    return Pictures(
        size=shape.size,
        pictures=shape.pictures,
        images=cast("NDArray[np.uint8]", _open(directory, "images", "r")),
        landmarks=cast("NDArray[np.float32]", _open(directory, "landmarks", "r")),
        boxes=cast("NDArray[np.float32]", _open(directory, "boxes", "r")),
        people=cast("NDArray[np.int64]", _open(directory, "people", "r")),
        labels=cast("NDArray[np.int8]", _open(directory, "labels", "r")),
        attributes=attributes,
    )
