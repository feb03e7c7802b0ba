"""What comes back: pictures, what they cost, what happened, and how alike they are."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from fusion.ledger.accounts import Account
from fusion.resolved import ResolvedRequest
from fusion.task import FusionTask
from fusion.trace import Trace
from fusion.usage import Usage
from prompting import PromptPlan


@dataclass(frozen=True)
class IdentitySimilarity:
    """How alike a picture is to one of the people: cosine of embeddings, -1 to 1.

    By the bundle's own recogniser, which also conditioned the picture: a check, not a judgement.
    """

    name: str
    weight: float
    cosine: float


@dataclass(frozen=True)
class PictureReport:
    """One picture of a result: its seed and scale as drawn, and who is in it.

    attempts: how often it was drawn; seed and identity_scale are of the best of them.
    verified: whether it was looked at; face_found: whether a face was found in it. wished_cosine:
    to the blend of all people, 0 where nothing was measured. similarity: to each person.
    """

    seed: int
    identity_scale: float
    attempts: int
    verified: bool
    face_found: bool
    wished_cosine: float
    similarity: tuple[IdentitySimilarity, ...]


@dataclass(frozen=True)
class FusionResult:
    """The answer to a request. `images` and `pictures` go together, one for each of `count`."""

    images: tuple[Image.Image, ...]
    pictures: tuple[PictureReport, ...]
    plan: PromptPlan
    usage: Usage
    trace: Trace
    warnings: tuple[str, ...]
    request: ResolvedRequest
    task: FusionTask
    model: str
    model_digest: str
    account: Account | None = None  # in the ledger, where the engine has one

    @property
    def similarity(self) -> tuple[IdentitySimilarity, ...]:
        """The first picture's similarity to each person; empty where it was not measured."""
        return self.pictures[0].similarity
