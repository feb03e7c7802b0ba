"""How far all pictures of an arm are from real ones: the terms of KID, by the bundle's CLIP."""

from __future__ import annotations

import numpy as np
from PIL import Image

from eval.ab.cases import Cases, Picture
from eval.ab.journal import Journal
from eval.ab.keepsakes import photo_files
from eval.ab.kernel_distance import Matrix, terms
from eval.ab.table import Table
from eval.ab.vision import Vision


def distances_of(journal: Journal, cases: Cases, table: Table, vision: Vision) -> dict[str, Matrix]:
    """By arm the terms of KID, [cases, cases], whose mean off the diagonal is its KID.

    Against real pictures of the wishes where all are there, else the reference's. Empty where an
    arm has a failure, whose picture nobody has.
    """
    numbers = [int(number) for number in table.numbers]
    embedded = {}
    for arm in table.arms:
        pictures = [journal.picture((number, arm)) for number in numbers]
        there = [np.asarray(picture) for picture in pictures if picture is not None]
        if len(there) < len(numbers):
            return {}
        embedded[arm] = vision.embed(there)
    real = _wished(journal, cases, numbers)
    against = vision.embed(real) if real else embedded[table.reference]
    return {arm: terms(values, against) for arm, values in embedded.items()}


def _wished(journal: Journal, cases: Cases, numbers: list[int]) -> list[Picture]:
    """Real pictures of the wishes, as the run keeps them; none where one is missing."""
    found = []
    for number in numbers:
        file = journal.folder / photo_files(number, cases.unit_of(number))[1]
        if not file.is_file():
            return []
        with Image.open(file) as image:
            found.append(np.asarray(image.convert("RGB")))
    return found
