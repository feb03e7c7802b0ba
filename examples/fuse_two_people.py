"""Two drawn people, fused 70 to 30, older and smiling: the whole library in twenty lines.

python examples/fuse_two_people.py
"""

import numpy as np

from fusion import Engine, FusionRequest, Identity
from world import HELD_OUT, render, sample_look, sample_person


def photo_of(seed: int) -> np.ndarray:
    """A picture of a person the bundle has never seen: uint8 [256, 256, 3]."""
    person = sample_person(HELD_OUT + seed)
    return render(person, sample_look(np.random.default_rng(seed), person)).image


engine = Engine.load("mini")
result = engine.fuse(
    FusionRequest(
        identities=[
            Identity(image=photo_of(1), weight=0.7),
            Identity(image=photo_of(2), weight=0.3),
        ],
        attributes={"age": 60, "expression": "smiling", "glasses": True},
        seed=7,
    )
)
result.images[0].save("portrait.png")
print(f"portrait.png: {result.usage.seconds:.1f} s, {result.usage.tokens} tokens")
