"""A given mask says where a target is drawn anew; outside of it every byte stays."""

from pathlib import Path

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cache import digest_array
from fusion import Engine, FusionRequest, FusionResult, Identity, InvalidRequest, Role
from fusion.given_mask import at_side, check_mask, share_within, softened
from fusion.placement import Square
from fusion.source import BundleSource
from fusion.stages.verify import cosine
from models import FaceAnalyser, ImageRejected, open_bundle
from tests.fusion.conftest import Picture, Scripted, face_at, painting, unit
from world import render, sample_look, sample_person

SOMEONE = (Identity(embedding=unit(1)),)
Mask = NDArray[np.uint8]


def block(width: int, height: int, x: slice, y: slice) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    mask[y, x] = 255
    return mask


def pixels(result: FusionResult) -> Picture:
    return np.asarray(result.images[0])


def fuse(engine: Engine, target: Picture, mask: object, **given: object) -> FusionResult:
    wish = {"identities": SOMEONE, "target": target, "mask": mask, "steps": 1, "strength": 1.0}
    return engine.fuse(FusionRequest.model_validate({**wish, **given}))


class TestDrawing:
    @settings(max_examples=12, deadline=None)
    @given(
        width=st.integers(90, 260), height=st.integers(90, 260), seed=st.integers(0, 99),
        left=st.floats(0, 0.9), top=st.floats(0, 0.9), wide=st.floats(0.1, 1),
        high=st.floats(0.1, 1),
    )  # fmt: skip
    def test_outside_every_byte_is_the_targets_and_inside_it_is_drawn(
        self, faceid_pipe: StableDiffusionPipeline, width: int, height: int, seed: int,
        left: float, top: float, wide: float, high: float,
    ) -> None:  # fmt: skip
        target = painting(seed, width, height)
        face = face_at(width / 2 - 30, height / 2 - 30, 60, unit(9))
        engine = Engine.from_diffusers(faceid_pipe, Scripted(lambda _: (face,)))
        x, y = int(left * width), int(top * height)
        mask = block(width, height, slice(x, x + 9 + int(wide * width)), slice(y, None))
        mask[y + 9 + int(high * height) :] = 0
        mask[height // 2 :][:8, width // 2 :][:, :8] = 255  # something of the face at least
        drawn = pixels(fuse(engine, target, mask))
        assert np.array_equal(drawn[mask == 0], target[mask == 0])
        assert (drawn[mask > 0] != target[mask > 0]).any()

    def test_a_region_away_from_the_head_is_drawn_and_the_head_stays(self, engine: Engine) -> None:
        target = painting(1)
        mask = block(128, 128, slice(0, 128), slice(0, 20))
        drawn = pixels(fuse(engine, target, mask))
        assert (drawn[:12] != target[:12]).any(axis=2).mean() > 0.9
        assert np.array_equal(drawn[20:], target[20:])

    def test_transparency_means_what_white_does(self, engine: Engine) -> None:
        white = block(128, 128, slice(30, 90), slice(40, 100))
        clear = np.dstack([255 - white, white, white, 255 - white])
        target = painting(2)
        first = pixels(fuse(engine, target, white))
        assert np.array_equal(first, pixels(fuse(engine, target, clear)))
        assert np.array_equal(first, pixels(fuse(engine, target, Image.fromarray(clear))))
        whole = np.dstack([white, white, white, np.full_like(white, 255)])
        assert np.array_equal(first, pixels(fuse(engine, target, whole))), "opaque: colours count"

    def test_a_mask_beyond_the_square_is_clipped_and_it_is_told(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        target = painting(3, 400, 300)
        face = face_at(60, 100, 60, unit(9))
        engine = Engine.from_diffusers(faceid_pipe, Scripted(lambda _: (face,)))
        within = fuse(engine, target, block(400, 300, slice(60, 120), slice(100, 160)))
        assert within.trace.downgrades == ()
        beyond = fuse(engine, target, block(400, 300, slice(60, 400), slice(100, 160)))
        assert any("of it lies outside of the square" in d for d in beyond.trace.downgrades)
        changed = np.flatnonzero((pixels(beyond) != target).any(axis=(0, 2)))
        assert 120 < changed.max() < 200
        seam = np.abs(pixels(beyond)[:, changed.max()].astype(int) - target[:, changed.max()])
        assert seam.max() < 16, "no seam where it was clipped"

    def test_the_task_and_the_label_know_of_the_mask(self, engine: Engine, tmp_path: Path) -> None:
        mask = block(128, 128, slice(30, 90), slice(40, 100))
        path = tmp_path / "where.png"
        Image.fromarray(mask).save(path)
        result = fuse(engine, painting(4), path)
        reference = result.task.references[-1]
        assert (reference.role, reference.name) == (Role.MASK, "where.png")
        assert reference.digest == digest_array(mask)
        assert result.request.masked

    def test_a_drawn_persons_face_is_exchanged_within_the_mask_only(
        self, mini_bundle: Path
    ) -> None:
        source, target = (
            np.asarray(render(person, sample_look(rng, person), size=128).image)
            for seed in (1_000_025, 1_000_011)
            for rng, person in [(np.random.default_rng(seed), sample_person(seed))]
        )
        rows, columns = np.mgrid[:128, :128]
        mask = ((columns - 64) ** 2 / 32**2 + (rows - 71) ** 2 / 42**2 < 1).astype(np.uint8) * 255
        with Engine.load(mini_bundle, device="cpu") as engine:
            people = (Identity(image=source),)
            drawn = pixels(
                fuse(engine, target, mask, identities=people, steps=None, strength=0.9, seed=5)
            )
        assert np.array_equal(drawn[mask == 0], target[mask == 0])
        analyser = FaceAnalyser(open_bundle(mini_bundle), "cpu")
        before, after, wished = (
            analyser.analyse(picture)[0].embedding for picture in (target, drawn, source)
        )
        assert cosine(after, wished) > cosine(before, wished) + 0.15


class TestRefusals:
    @pytest.fixture
    def cold(self, tiny_bundle: Path) -> Engine:
        return Engine.load(tiny_bundle, device="cpu")

    @pytest.mark.parametrize(
        ("mask", "words"),
        [
            (np.full((64, 128), 255, np.uint8), ["128×64", "128×128"]),
            (np.zeros((128, 128), np.uint8), ["nothing to draw"]),
            (np.full((128, 128), 127, np.uint8), ["nothing to draw"]),
        ],
        ids=["size", "black", "dark"],
    )
    def test_a_mask_that_does_not_fit_is_refused_before_models_are_loaded(
        self, cold: Engine, mask: Mask, words: list[str]
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            fuse(cold, painting(1), mask)
        assert all(word in str(caught.value) for word in words)
        assert not cold.loaded

    def test_a_mask_out_of_reach_is_refused_before_models_are_loaded(
        self, tiny_bundle: Path
    ) -> None:
        source = BundleSource(open_bundle(tiny_bundle), "cpu", "auto")
        source._analyser = Scripted(lambda _: (face_at(150, 150, 50, unit(9)),))
        cold = Engine(source)
        with pytest.raises(InvalidRequest, match="around the target's face"):
            fuse(cold, painting(1, 256, 256), block(256, 256, slice(0, 40), slice(0, 40)))
        assert not cold.loaded

    def test_a_mask_without_a_target_is_refused_at_once(self, cold: Engine) -> None:
        with pytest.raises(InvalidRequest, match="give a target as well"):
            cold.submit(FusionRequest(mask=np.full((128, 128), 255, np.uint8)))

    def test_what_is_no_picture_is_named_as_the_mask(self, cold: Engine) -> None:
        with pytest.raises(ImageRejected, match="mask"):
            fuse(cold, painting(1), b"nothing")

    def test_a_turned_target_is_compared_as_it_stands(self, tmp_path: Path) -> None:
        check_mask(np.full((90, 120), 255, np.uint8), (120, 90))
        with pytest.raises(InvalidRequest, match=r"90×120.*120×90"):
            check_mask(np.full((120, 90), 255, np.uint8), (120, 90))


class TestSoftening:
    WHOLE = Square(0, 0, 64)

    def test_the_edge_rises_inwards_from_nothing(self) -> None:
        mask = block(64, 64, slice(16, 48), slice(16, 48))
        soft = softened(mask, self.WHOLE, 5)
        assert soft.dtype == np.float32
        assert (soft[mask == 0] == 0).all()
        assert (soft[mask > 0] > 0).all()
        across = soft[32, 15:23]
        assert (np.diff(across) > 0)[:6].all()
        assert across[7] == 1
        assert np.array_equal(soft, soft.T)

    def test_what_is_narrow_is_drawn_all_the_same(self) -> None:
        soft = softened(block(64, 64, slice(30, 33), slice(0, 64)), self.WHOLE, 9)
        assert soft[:, 31].min() > 0.9

    def test_nothing_fades_where_the_target_itself_ends(self) -> None:
        soft = softened(np.full((64, 64), 255, np.uint8), self.WHOLE, 5)
        assert (soft == 1).all()
        over = softened(np.full((64, 64), 255, np.uint8), Square(-20, -20, 104), 5)
        assert (over == 1).all()

    def test_it_fades_where_it_goes_on_beyond_the_square(self) -> None:
        soft = softened(np.full((64, 128), 255, np.uint8), self.WHOLE, 5)
        assert soft[:, 63].max() < 0.05
        assert (soft[:, :40] == 1).all()

    @pytest.mark.parametrize("side", [16, 128, 200])
    def test_at_another_side_it_stays_within_its_bounds(self, side: int) -> None:
        mask = softened(block(64, 64, slice(20, 44), slice(8, 50)), self.WHOLE, 4)
        other = at_side(mask, side)
        assert other.shape == (side, side)
        assert 0 <= other.min() <= other.max() <= 1
        assert other.mean() == pytest.approx(mask.mean(), abs=0.01)

    def test_shares_count_what_lies_within(self) -> None:
        mask = block(128, 64, slice(0, 128), slice(10, 20))
        assert share_within(mask, self.WHOLE) == pytest.approx(0.5, abs=0.01)
        assert share_within(block(64, 64, slice(0, 64), slice(0, 64)), self.WHOLE) == 1
