"""Drawn people, their photos as files, and the judges, for the tests on the bundle that ships."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cli.drawn import DrawnPerson, draw, new_people

Cosine = Callable[[Path, DrawnPerson], float]


@pytest.fixture(scope="session")
def women() -> list[DrawnPerson]:
    """Four women nobody has seen before, photographed from the front without a hat."""
    look: dict[str, object] = {"hat": False, "view": "front"}
    return [draw(seed, look, 256) for seed in new_people(4, 21, "woman")]


@pytest.fixture(scope="session")
def photos(women: list[DrawnPerson], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Their photos as files."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{name}.png" for name in ("ada", "bea", "cleo", "dora")]
    for path, woman in zip(paths, women, strict=True):
        woman.picture.save(path)
    return paths


@pytest.fixture(scope="session")
def judged() -> Callable[[Path], dict[str, str]]:
    """What the attribute judge sees in a picture file."""
    from eval import open_judges
    from models import open_bundle

    judges = open_judges(open_bundle("mini"), threads=1)

    def judge(path: Path) -> dict[str, str]:
        with Image.open(path) as image:
            (verdict,) = judges.attributes.judge([np.asarray(image.convert("RGB"))])
        return verdict

    return judge


@pytest.fixture(scope="session")
def cosine() -> Cosine:
    """The judge's similarity of a picture file to a drawn person's photo; -1 without a face."""
    from eval import open_judges
    from models import FaceAnalyser, open_bundle

    bundle = open_bundle("mini")
    judge = open_judges(bundle, threads=1).recogniser
    analyser = FaceAnalyser(bundle)

    def similarity(path: Path, person: DrawnPerson) -> float:
        with Image.open(path) as opened:
            image: NDArray[np.uint8] = np.asarray(opened.convert("RGB"))
        faces = analyser.analyse(image)
        if not faces:
            return -1.0
        best = max(faces, key=lambda face: face.score)
        known = judge.embed([np.asarray(person.picture)], [person.landmarks])[0]
        return float(judge.embed([image], [best.landmarks])[0] @ known)

    return similarity
