"""What the judges say of a picture, by the models of the reference's bundle; none conditioned it
but the conditioner, whose word is kept apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.ab.cases import Picture, SuiteCase
from eval.ab.catalogue import Need
from eval.bench import best_face
from eval.judges import Judges, open_judges
from eval.metrics import MOST_DB, copy_paste, psnr
from models import Bundle, ComponentKind, FaceAnalyser

if TYPE_CHECKING:
    import torch

    from eval.ab.vision import Vision

Values = dict[str, float]
NOTHING_SEEN: Final = "nothing"  # what a judge sees where there is no picture


class Jury:
    """The judges of a bundle, each where it has them."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self._judges: Judges | None = None
        self._faces: FaceAnalyser | None = None
        self.vision: Vision | None = None
        self.missing: frozenset[Need] = frozenset()
        if bundle.has(ComponentKind.JUDGES):
            self._judges = open_judges(bundle)
        else:
            self.missing |= {Need.RECOGNISER_JUDGE, Need.ATTRIBUTE_JUDGE}
        if bundle.has(ComponentKind.FACES):
            self._faces = FaceAnalyser(bundle, device)
        else:
            self.missing |= {Need.FACES}
        if bundle.has(ComponentKind.CLIP):
            from eval.ab.vision import Vision

            self.vision = Vision(bundle)
        else:
            self.missing |= {Need.CLIP}
        self._known: dict[int, _Seen] = {}  # the photo of the person at hand, and the other one
        self._known_others: dict[int, _Seen] = {}

    @property
    def heads(self) -> tuple[str, ...]:
        """The attributes the judge knows."""
        return () if self._judges is None else tuple(self._judges.attributes.heads)

    def judge(
        self, cases: Sequence[SuiteCase], pictures: Sequence[Picture | None]
    ) -> list[tuple[Values, dict[str, str]]]:
        """Values by metric and answers by attribute, of each picture; None is a failure, which
        scores as a picture that shows nobody and nothing of what was asked.
        """
        there = [index for index, picture in enumerate(pictures) if picture is not None]
        images = [picture for picture in pictures if picture is not None]
        said: list[tuple[Values, dict[str, str]]] = [
            self._of_nothing(case) if picture is None else ({}, {})
            for case, picture in zip(cases, pictures, strict=True)
        ]
        if images:
            for index, seen in zip(there, self._see(images), strict=True):
                said[index][0].update(self._likeness(cases[index], seen))
            if self._judges is not None:
                answers = self._judges.attributes.judge(images)
                for index, answer in zip(there, answers, strict=True):
                    asked = self._asked(cases[index])
                    said[index][0].update(obeyed(asked, answer))
                    said[index][1].update(answer)
            if self.vision is not None:
                wishes = [cases[index].wish_in_words for index in there]
                agreement = self.vision.agreement(images, wishes)
                for index, value in zip(there, agreement, strict=True):
                    said[index][0]["text_agreement"] = float(value)
        return said

    def _asked(self, case: SuiteCase) -> dict[str, str]:
        """What was asked for that the judge has words for."""
        if self._judges is None:
            return {}
        heads = self._judges.attributes.heads
        return {h: v for h, v in case.asked.items() if v in heads.get(h, ())}

    def _of_nothing(self, case: SuiteCase) -> tuple[Values, dict[str, str]]:
        values: Values = {}
        if self._faces is not None:
            values |= {"one_face": 0.0, "identity_conditioner": 0.0}
        if self._faces is not None and self._judges is not None:
            values["identity"] = 0.0
        asked = self._asked(case)
        values |= obeyed(asked, {})
        if self.vision is not None:
            values["text_agreement"] = 0.0
        return values, dict.fromkeys(asked, NOTHING_SEEN)

    def _likeness(self, case: SuiteCase, seen: _Seen) -> Values:
        if self._faces is None:
            return {}
        photo = self._photo(case)
        values: Values = {
            "one_face": float(seen.faces == 1),
            "identity_conditioner": float(seen.own @ photo.own),
        }
        if self._judges is None:
            return values
        other = None if case.pictures.other is None else self._other(case)
        measured_by = photo if other is None or not other.faces else other
        values["identity"] = float(seen.judged @ measured_by.judged)
        if other is not None and seen.faces and photo.faces and other.faces:
            measure = copy_paste(seen.judged[None], photo.judged[None], other.judged[None])
            values["copy_paste"] = float(measure[0])
        return values

    def _photo(self, case: SuiteCase) -> _Seen:
        if case.unit not in self._known:
            self._known = {case.unit: self._see([case.pictures.photo])[0]}
        return self._known[case.unit]

    def _other(self, case: SuiteCase) -> _Seen:
        if case.unit not in self._known_others:
            assert case.pictures.other is not None
            self._known_others = {case.unit: self._see([case.pictures.other])[0]}
        return self._known_others[case.unit]

    def _see(self, images: Sequence[Picture]) -> list[_Seen]:
        if self._faces is None:
            return [_Seen(0, _ZERO, _ZERO) for _ in images]
        seen = []
        for image in images:
            faces = self._faces.analyse(image)
            if not faces:
                seen.append(_Seen(0, _ZERO, _ZERO))
                continue
            face = best_face(faces)
            judged = _ZERO
            if self._judges is not None:
                judged = self._judges.recogniser.embed([image], [face.landmarks])[0]
            seen.append(_Seen(len(faces), np.asarray(face.embedding), judged))
        return seen


class _Seen:
    """A picture's best face: the conditioner's embedding and the judge's, zero where none is."""

    def __init__(self, faces: int, own: NDArray[np.float32], judged: NDArray[np.float32]) -> None:
        self.faces, self.own, self.judged = faces, own, judged


_ZERO: Final = np.zeros(512, dtype=np.float32)


def obeyed(asked: dict[str, str], seen: dict[str, str]) -> Values:
    """1 or 0 for each attribute asked for, and their mean; nothing where nothing was asked."""
    if not asked:
        return {}
    hits = {head: float(seen.get(head) == value) for head, value in asked.items()}
    parts = {f"attributes.{head}": hit for head, hit in hits.items()}
    return {"attributes": float(np.mean(list(hits.values()))), **parts}


def agreement(picture: Picture | None, reference: Picture | None) -> Values:
    """PSNR in dB and SSIM of a picture beside the reference's; 0 where one is missing.

    Sizes may differ: the larger is made as small as the other. SSIM (Wang et al. 2004) by
    scikit-image, on luminance, with the paper's Gaussian window.
    """
    from skimage.metrics import structural_similarity

    if picture is None or reference is None:
        return {} if picture is reference else {"psnr": 0.0, "ssim": 0.0}
    one, other = _of_one_size(picture, reference)
    grey = [np.asarray(Image.fromarray(each).convert("L")) for each in (one, other)]
    similarity = structural_similarity(
        *grey, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return {"psnr": min(psnr(one, other), MOST_DB), "ssim": float(similarity)}


def _of_one_size(one: Picture, other: Picture) -> tuple[Picture, Picture]:
    if one.shape == other.shape:
        return one, other
    height, width = min(one.shape[:2], other.shape[:2], key=lambda side: side[0] * side[1])
    resized = [
        np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.LANCZOS))
        for each in (one, other)
    ]
    return resized[0], resized[1]
