"""The figures of detector and recogniser, on arrays whose answer is known."""

from pathlib import Path

import numpy as np
import pytest

from eval.faces import landmark_error, match_boxes, recogniser_file, verification
from eval.insertions import outside_mask
from fusion import MaskShape
from models import BundleCorrupt


def test_pairs_are_counted_once_and_of_the_right_people() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(3, 2, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=2, keepdims=True)
    scores = verification(embeddings, ["man", "woman", "man"])
    assert scores.genuine.shape == (3, 1)
    assert scores.genuine[1, 0] == pytest.approx(embeddings[1, 0] @ embeddings[1, 1], abs=1e-6)
    assert len(scores.impostor) == 3 * 4
    expected = [embeddings[0, i] @ embeddings[2, j] for i in range(2) for j in range(2)]
    assert sorted(scores.same_gender) == pytest.approx(sorted(expected), abs=1e-6)


class TestMatching:
    truth = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], dtype=np.float32)

    def test_boxes_are_matched_whatever_their_order(self) -> None:
        assert match_boxes(self.truth, self.truth[::-1]) == {0: 1, 1: 0}

    def test_a_box_is_found_once(self) -> None:
        twice = np.concatenate([self.truth[:1], self.truth[:1] + 1])
        assert match_boxes(self.truth, twice) == {0: 0}

    def test_too_little_overlap_is_no_match(self) -> None:
        assert match_boxes(self.truth, self.truth + 6) == {}

    def test_nothing_matches_nothing(self) -> None:
        assert match_boxes(self.truth, np.zeros((0, 4), dtype=np.float32)) == {}


def test_landmark_error_is_measured_in_eye_distances() -> None:
    truth = np.array([[0, 0], [10, 0], [5, 5], [2, 9], [8, 9]], dtype=np.float32)
    assert landmark_error(truth, truth) == 0
    assert landmark_error(truth, truth + np.float32([3, 4])) == pytest.approx(0.5)


def test_a_pack_without_a_recogniser_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    assert recogniser_file(tiny_bundle / "faces").name == "rec.onnx"
    with pytest.raises(BundleCorrupt, match="holds no recogniser"):
        recogniser_file(tmp_path)


class TestOutsideTheMask:
    landmarks = np.array([[50, 60], [78, 60], [64, 74], [54, 88], [74, 88]], dtype=np.float32)

    @pytest.mark.parametrize("angle", [0.0, 0.4])
    def test_is_where_the_engines_own_mask_is_zero(self, angle: float) -> None:
        from fusion.mask import soft_mask

        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = ((self.landmarks - 64) @ turn.T + 64).astype(np.float32)
        outside = outside_mask(points, (160, 128), MaskShape())
        assert outside.any()
        assert (outside == (soft_mask(points, (160, 128)) == 0)).mean() > 0.999
        assert not soft_mask(points, (160, 128))[outside].any()
