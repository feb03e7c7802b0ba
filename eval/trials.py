"""Free portraits of held-out people, and what the judges say of each beside a real picture.

One trial: a photo of a person, a wish for another look, the real picture of that look (the perfect
answer), its reconstruction by the autoencoder, and the portrait the bundle draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eval.bench import Bench, Image, Sighting, in_batches, look_at
from eval.people import Photo, Wish, balanced_wishes, held_out_people, photograph, snapshot
from fusion import FusionRequest, Identity
from world import HELD_OUT

_FIRST = 60_000  # held-out seed of the first person
_BATCH = 16  # pictures per call of the autoencoder


@dataclass(frozen=True)
class Trials:
    """Everything drawn and judged, in one order; images are uint8 RGB.

    gallery: the judge's embeddings of other people's photos [m, 512], same_gender [n, m] whether
    the gallery's person has the trial's gender.
    """

    sources: tuple[Photo, ...]
    wishes: tuple[Wish, ...]
    real: tuple[Image, ...]
    restored: tuple[Image, ...]
    drawn: tuple[Image, ...]
    source_seen: Sighting
    real_seen: Sighting
    restored_seen: Sighting
    drawn_seen: Sighting
    gallery: NDArray[np.float32]
    same_gender: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.wishes)

    def likeness(self, seen: Sighting) -> NDArray[np.float32]:
        """Cosine [n] of what is seen with the person's own photo."""
        return np.asarray(np.sum(seen.embeddings * self.source_seen.embeddings, axis=1))

    def likeness_to_others(self, seen: Sighting) -> NDArray[np.float32]:
        """Cosine [n, m] of what is seen with the photos of the gallery."""
        return np.asarray(seen.embeddings @ self.gallery.T, dtype=np.float32)


def run_trials(bench: Bench) -> Trials:
    """Draw one portrait of each person, and let the judges see all pictures."""
    extent = bench.extent
    people = held_out_people(extent.portraits, _FIRST)
    rng = np.random.default_rng([HELD_OUT, _FIRST])
    wishes = balanced_wishes(people, _FIRST)
    sources = [snapshot(person, rng) for person in people]
    real = [photograph(wish.person, wish.look, bench.size).image for wish in wishes]
    restored = restore(bench, real)
    drawn = [
        draw(bench, source, wish, seed)
        for seed, (source, wish) in enumerate(
            bench.track(list(zip(sources, wishes, strict=True)), "portraits")
        )
    ]
    strangers = held_out_people(extent.gallery, _FIRST + extent.portraits)
    strangers_seen = look_at(bench, [snapshot(person, rng).image for person in strangers])
    genders = np.array([person.gender for person in people])
    return Trials(
        sources=tuple(sources),
        wishes=tuple(wishes),
        real=tuple(real),
        restored=tuple(restored),
        drawn=tuple(drawn),
        source_seen=look_at(bench, [source.image for source in sources]),
        real_seen=look_at(bench, real),
        restored_seen=look_at(bench, restored),
        drawn_seen=look_at(bench, drawn),
        gallery=strangers_seen.embeddings,
        same_gender=genders[:, None] == np.array([other.gender for other in strangers])[None],
    )


def draw(bench: Bench, source: Photo, wish: Wish, seed: int, few: bool = False) -> Image:
    """The portrait the bundle draws by its own defaults, uint8 [size, size, 3]; few: few steps."""
    request = FusionRequest(
        identities=(Identity(image=source.image),),
        attributes=wish.attributes,
        steps="few" if few else None,  # the bundle's own number: a card is of the models
        seed=seed,
        verify=False,
    )
    return bench.fuse(request, instead=np.zeros((bench.size, bench.size, 3), np.uint8))


def restore(bench: Bench, images: Sequence[Image]) -> list[Image]:
    """Pictures through the bundle's autoencoder and back, uint8 of the same shape."""
    return in_batches(lambda batch: _round_trip(bench, batch), images, _BATCH)


def _round_trip(bench: Bench, images: Sequence[Image]) -> Image:
    vae, parts = bench.components.vae, bench.components
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(parts.device)
    with torch.inference_mode():
        encoded = vae.encode(pixels.to(parts.dtype) / 127.5 - 1)
        # AutoencoderTiny gives latents, AutoencoderKL a distribution whose mode is meant here.
        latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
        decoded = vae.decode(latents).sample.float()
    values = ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.asarray(values.permute(0, 2, 3, 1).cpu().numpy())
