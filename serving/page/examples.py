"""Drawn people to try the page with: new ones every time, never seen in training."""

from __future__ import annotations

import io
from typing import Final

_PEOPLE: Final = 1_000_000  # how many different ones there are to meet
_SIDE: Final = 512  # pixels


def drawn_portraits(count: int, seed: int | None = None) -> list[bytes]:
    """Pictures of as many new people, as PNG; seed None: others every time."""
    import numpy as np
    from PIL import Image

    from world import HELD_OUT, render, sample_look, sample_person

    rng = np.random.default_rng(seed)
    pictures = []
    for identity in rng.choice(_PEOPLE, size=count, replace=False):
        person = sample_person(HELD_OUT + int(identity))
        # A plain look: nothing that hides the face.
        look = sample_look(
            rng, person, glasses=False, hat=False, view="front", light="front",
            expression="neutral" if rng.random() < 0.5 else "smiling",
        )  # fmt: skip
        written = io.BytesIO()
        Image.fromarray(render(person, look, size=_SIDE).image).save(written, "PNG")
        pictures.append(written.getvalue())
    return pictures
