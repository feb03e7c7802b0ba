"""Figures are right: against SciPy, by hand, and by what must hold whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eval.metrics import (
    auc,
    balanced_accuracy,
    bootstrap,
    confusions,
    copy_paste,
    mean_interval,
    placements,
    psnr,
    rank_correlation,
    share_interval,
    tar_at_far,
    threshold_at_far,
)

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30).map(np.array)


class TestAuc:
    @given(scores, scores)
    @settings(max_examples=60, deadline=None)
    def test_equals_scipys_mann_whitney_with_ties(
        self, genuine: np.ndarray, impostor: np.ndarray
    ) -> None:
        expected = stats.mannwhitneyu(genuine, impostor).statistic / len(genuine) / len(impostor)
        assert auc(genuine, impostor) == pytest.approx(expected)

    def test_is_one_when_apart_and_half_when_equal(self) -> None:
        assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
        assert auc(np.zeros(3), np.zeros(4)) == 0.5

    def test_is_the_mean_of_its_placements(self) -> None:
        genuine, impostor = np.array([0.2, 0.9]), np.array([0.1, 0.5, 0.5])
        assert placements(genuine, impostor).tolist() == pytest.approx([1 / 3, 1.0])

    def test_refuses_an_empty_side_and_what_is_not_finite(self) -> None:
        with pytest.raises(ValueError, match="no impostor scores"):
            auc(np.array([1.0]), np.array([]))
        with pytest.raises(ValueError, match="not finite"):
            auc(np.array([np.nan]), np.array([0.0]))


class TestTarAtFar:
    @given(scores, st.floats(0, 0.99))
    @settings(max_examples=60, deadline=None)
    def test_never_accepts_more_impostors_than_allowed(
        self, impostor: np.ndarray, far: float
    ) -> None:
        accepted = (impostor > threshold_at_far(impostor, far)).sum()
        assert accepted <= far * len(impostor)

    def test_by_hand(self) -> None:
        impostor = np.arange(1000) / 1000  # one of a thousand may pass: 0.999, not 0.998
        assert threshold_at_far(impostor, 1e-3) == 0.998
        assert tar_at_far(np.array([0.5, 0.998, 0.9985, 2.0]), impostor) == 0.5

    def test_refuses_a_rate_that_is_none(self) -> None:
        with pytest.raises(ValueError, match="false accept rate"):
            threshold_at_far(np.zeros(3), 1.0)


class TestBalancedAccuracy:
    def test_counts_every_class_alike(self) -> None:
        truth = np.array([0] * 98 + [1] * 2)
        assert balanced_accuracy(truth, np.zeros(100, dtype=int)) == 0.5

    def test_refuses_lists_that_do_not_match(self) -> None:
        with pytest.raises(ValueError, match="one length"):
            balanced_accuracy(np.array([0, 1]), np.array([0]))

    def test_confusions_name_the_most_frequent_first(self) -> None:
        truth = ["pink", "pink", "grey", "pink", "grey"]
        seen = ["red", "red", "night", "pink", "grey"]
        assert confusions(truth, seen) == [("pink", "red", 2), ("grey", "night", 1)]


class TestPsnr:
    def test_by_hand(self) -> None:
        black = np.zeros((4, 4, 3), dtype=np.uint8)
        assert psnr(black, black + np.uint8(255)) == 0.0
        assert psnr(black, black + np.uint8(1)) == pytest.approx(20 * np.log10(255))
        assert psnr(black, black) == float("inf")

    def test_weights_leave_pixels_out(self) -> None:
        first = np.zeros((2, 2, 3), dtype=np.uint8)
        second = first.copy()
        second[0, 0] = 200
        weight = np.ones((2, 2))
        assert np.isfinite(psnr(first, second, weight))
        weight[0, 0] = 0
        assert psnr(first, second, weight) == float("inf")
        with pytest.raises(ValueError, match="no pixel"):
            psnr(first, second, np.zeros((2, 2)))

    def test_refuses_other_shapes(self) -> None:
        with pytest.raises(ValueError, match="differ in shape"):
            psnr(np.zeros((2, 2)), np.zeros((2, 3)))


def test_copying_the_photo_is_positive_and_the_real_picture_negative() -> None:
    reference, target = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert copy_paste(reference, reference, target) == pytest.approx(1.0)
    assert copy_paste(target, reference, target) == pytest.approx(-1.0)
    between = np.array([[1.0, 1.0]]) / np.sqrt(2)
    assert copy_paste(between, reference, target) == pytest.approx(0.0)


def test_nothing_follows_a_constant() -> None:
    rising = np.array([0.2, 0.4, 0.8])
    assert rank_correlation(rising, rising) == pytest.approx(1.0)
    assert rank_correlation(rising, np.ones(3)) == 0.0


class TestIntervals:
    def test_of_a_mean_holds_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(0)
        inside = 0
        for trial in range(60):
            low, high = mean_interval(rng.normal(3.0, 1.0, 60), seed=trial) or (0.0, 0.0)
            inside += low <= 3.0 <= high
        assert inside >= 51

    def test_of_people_is_wider_than_of_their_scores(self) -> None:
        people = np.repeat(np.random.default_rng(0).normal(size=(40, 1)), 6, axis=1)
        by_person, by_score = mean_interval(people), mean_interval(people.ravel())
        assert by_person is not None
        assert by_score is not None
        assert by_person[1] - by_person[0] > 1.5 * (by_score[1] - by_score[0])

    def test_of_one_value_is_none(self) -> None:
        assert mean_interval(np.array([1.0])) is None

    def test_of_a_share_stays_within_it(self) -> None:
        low, high = share_interval(10, 10)
        assert 0.6 < low < high == 1.0

    def test_leaves_out_resamples_where_the_figure_is_undefined(self) -> None:
        def only_with_the_first(rows: np.ndarray) -> float:
            if 0 not in rows:
                raise ValueError("undefined")
            return 1.0

        assert bootstrap(only_with_the_first, 5) == (1.0, 1.0)

    def test_is_the_same_again(self) -> None:
        values = np.random.default_rng(1).normal(size=30)
        assert mean_interval(values) == mean_interval(values)
