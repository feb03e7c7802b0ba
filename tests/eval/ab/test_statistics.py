"""Paired statistics: they agree with SciPy's, hold what they promise, and never give NaN."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from eval.ab.statistics import (
    DECIMALS,
    MOST_UNITS,
    RESAMPLES,
    TooFewUnits,
    false_discovery,
    jackknife_difference,
    more_units,
    one_sample,
    p_value,
    paired,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)  # subnormal and huge ones too
ANY = arrays(np.float64, st.integers(2, 40), elements=FINITE)
SIGNS = arrays(np.float64, st.integers(2, 60), elements=st.sampled_from([-1.0, 0.0, 1.0]))
SHARES = arrays(np.float64, st.integers(2, 60), elements=st.integers(-12, 12).map(lambda k: k / 12))
TESTS = st.sampled_from(["Wilcoxon", "sign"])
Draw = Callable[[np.random.Generator, int], np.ndarray]


class TestAgainstSciPy:
    @pytest.mark.parametrize("units", [8, 40, 200])
    def test_the_interval_is_bca_and_never_narrower_than_students(self, units: int) -> None:
        values = np.random.default_rng(units).gamma(2, size=units)
        found = one_sample(values, seed=4)
        bca = stats.bootstrap(
            (np.sort(-values),), np.mean, n_resamples=RESAMPLES, method="BCa",
            random_state=np.random.default_rng(4),
        ).confidence_interval  # fmt: skip
        t = stats.ttest_1samp(values, 0).confidence_interval()
        expected = (values.mean(), min(t.low, -bca.high), max(t.high, -bca.low))
        assert found == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("units", [6, 20, 50, 51, 300])
    def test_wilcoxon_without_ties_is_scipys(self, units: int) -> None:
        values = np.random.default_rng(units).normal(0.2, 1, units)
        assert paired(values).p == pytest.approx(stats.wilcoxon(values).pvalue)
        assert p_value(values) == paired(values).p

    @pytest.mark.parametrize("seed", range(8))
    def test_wilcoxon_with_ties_is_scipys_over_all_signs(self, seed: int) -> None:
        values = np.random.default_rng(seed).integers(-3, 6, 12) / 12
        exact = stats.PermutationMethod(n_resamples=5000)  # 2 to the 12th are fewer: all of them
        assert p_value(values) == pytest.approx(
            stats.wilcoxon(values[values != 0], method=exact).pvalue
        )

    def test_wilcoxon_of_many_ties_is_scipys_normal_one(self) -> None:
        values = np.random.default_rng(0).integers(-5, 7, 200) / 12
        assert p_value(values) == pytest.approx(stats.wilcoxon(values).pvalue)

    def test_five_wins_and_no_loss_are_five_coins(self) -> None:
        few = np.array([0.0] * 91 + [1.0] * 5)
        assert p_value(few) == pytest.approx(2 / 2**5)
        assert p_value(few, "sign") == pytest.approx(2 / 2**5)

    def test_the_sign_test_is_scipys(self) -> None:
        signs = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 20)
        found = paired(signs, "sign")
        assert found.p == pytest.approx(stats.binomtest(9, 11).pvalue)
        assert (found.wins, found.ties, found.losses) == (9, 20, 2)

    def test_q_is_benjamini_and_hochbergs_and_skips_what_was_not_tested(self) -> None:
        q = false_discovery([0.01, None, 0.04, 0.03])
        assert q[1] is None
        assert [q[0], q[2], q[3]] == pytest.approx([0.03, 0.04, 0.04])
        assert false_discovery([None, None]) == [None, None]
        assert false_discovery([]) == []

    def test_the_jackknife_of_a_mean_is_students_interval(self) -> None:
        values = np.random.default_rng(2).normal(size=25)
        found = jackknife_difference(lambda chosen: float(values[chosen].mean()), 25)
        t = stats.ttest_1samp(values, 0).confidence_interval()
        assert found == pytest.approx((values.mean(), t.low, t.high))


class TestDegenerate:
    def test_equal_values_are_a_point(self) -> None:
        assert one_sample(np.full(8, 0.25)) == (0.25, 0.25, 0.25)
        nothing = paired(np.zeros(20))
        assert (nothing.p, nothing.test, nothing.ties, nothing.effect) == (1.0, "none", 20, None)
        always = paired(np.full(20, -3.0))
        assert (always.low, always.high, always.losses) == (-3.0, -3.0, 20)
        assert (always.test, always.p) == ("sign", pytest.approx(2 / 2**20))

    def test_where_bca_is_undefined_the_interval_is_students_and_says_so(self) -> None:
        nearly = np.array([1, 1, 1, 1, 1 + 1e-10])  # no resample's mean can be told from theirs
        found, t = paired(nearly), stats.ttest_1samp(nearly, 0).confidence_interval()
        assert found.interval == "t"
        assert (found.low, found.high) == pytest.approx((t.low, t.high), rel=1e-14)
        assert paired(np.array([0.0] * 11 + [1.0])).interval == "BCa"

    def test_one_unit_says_nothing(self) -> None:
        with pytest.raises(TooFewUnits, match="at least 2 units, got 1"):
            paired(np.array([1.0]))
        with pytest.raises(TooFewUnits, match="three"):
            jackknife_difference(lambda chosen: 0.0, 2)
        with pytest.raises(ValueError, match="finite"):
            paired(np.array([1.0, np.nan]))

    def test_shares_that_are_equal_but_for_rounding_are_ties(self) -> None:
        noisy = np.array([0.3 - 0.1 - 0.2, 5 / 12 - 4 / 12, 2 / 12 - 1 / 12, 1 / 12, 1 / 12, 0.25])
        exact = np.array([0, 1, 1, 1, 1, 3]) / 12
        assert (paired(noisy).ties, paired(noisy).p) == (1, paired(exact).p)

    def test_a_huge_outlier_moves_the_mean_and_hardly_the_test(self) -> None:
        values = np.append(np.random.default_rng(5).normal(1, 1, 47), -1e6)
        found = paired(values)
        assert found.p < 0.01
        assert found.low < found.mean < 0 < found.high


class TestWhatMustHold:
    @settings(deadline=None, max_examples=100)
    @given(st.one_of(ANY, SIGNS, SHARES), TESTS)
    def test_whatever_the_numbers_nothing_is_nan(self, values: np.ndarray, test: Any) -> None:
        found = paired(values, test)
        assert np.isfinite([found.mean, found.low, found.high, found.p]).all()
        assert found.low <= found.mean <= found.high
        assert found.effect is None or math.isfinite(found.effect)
        assert found.wins + found.ties + found.losses == found.units == len(values)
        assert 0 <= found.p <= 1
        deviation = float(np.std(values / 2**20, ddof=1)) if np.abs(values).max() < 1e150 else 1e300
        more = more_units(found.mean, deviation, found.units, None)
        assert more is None or 1 <= more <= MOST_UNITS

    @settings(deadline=None, max_examples=50)
    @given(st.one_of(SIGNS, SHARES), TESTS, st.sampled_from([1e-9, 0.3, 7.0, 1e12]))
    def test_the_unit_does_not_matter(self, values: np.ndarray, test: Any, scale: float) -> None:
        found, scaled = paired(values, test), paired(values * scale, test)
        assert scaled.p == pytest.approx(found.p)
        assert (scaled.wins, scaled.ties) == (found.wins, found.ties)
        ends, close = np.array([found.mean, found.low, found.high]), 10.0 ** (4 - DECIMALS)
        assert [scaled.mean, scaled.low, scaled.high] == pytest.approx(
            list(ends * scale), rel=close, abs=close * scale
        )

    @settings(deadline=None, max_examples=50)
    @given(st.one_of(ANY, SIGNS, SHARES), TESTS)
    def test_swapped_arms_mirror_everything(self, values: np.ndarray, test: Any) -> None:
        found, swapped = paired(values, test), paired(-values, test)
        assert (swapped.mean, swapped.low, swapped.high) == (-found.mean, -found.high, -found.low)
        assert (swapped.wins, swapped.losses) == (found.losses, found.wins)
        assert swapped.p == pytest.approx(found.p)

    @settings(deadline=None, max_examples=50)
    @given(st.one_of(ANY, SIGNS, SHARES), TESTS, st.randoms(use_true_random=False))
    def test_the_order_does_not_matter(self, values: np.ndarray, test: Any, shuffler: Any) -> None:
        order = list(range(len(values)))
        shuffler.shuffle(order)
        found, shuffled = paired(values, test), paired(values[order], test)
        ends = (shuffled.mean, shuffled.low, shuffled.high, shuffled.wins, shuffled.ties)
        assert ends == (found.mean, found.low, found.high, found.wins, found.ties)
        assert shuffled.p == pytest.approx(found.p)


class TestMoreUnits:
    @settings(max_examples=200)
    @given(
        st.floats(-0.1, 0.1), st.floats(0.001, 1), st.integers(2, 500), st.floats(0.001, 0.2),
        st.floats(1.01, 3),
    )  # fmt: skip
    def test_more_spread_takes_more_and_more_leeway_or_power_not(
        self, mean: float, deviation: float, units: int, margin: float, factor: float
    ) -> None:
        def needed(*given: Any, **options: Any) -> float:
            found = more_units(*given, **options)
            return math.inf if found is None else found

        usual = needed(mean, deviation, units, margin)
        assert needed(mean, deviation * factor, units, margin) >= usual
        assert needed(mean, deviation, units, margin * factor) <= usual
        assert needed(mean, deviation, units, margin, power=0.5) <= usual
        assert needed(mean, deviation, units + 10, margin) <= usual

    def test_it_is_the_textbooks(self) -> None:
        z, z_alpha = stats.norm.ppf(0.975) + stats.norm.ppf(0.8), stats.norm.ppf(0.975)
        total = (z * 0.1 / 0.02) ** 2 + z_alpha**2 / 2
        assert more_units(0.0, 0.1, 20, 0.02) == math.ceil(total - 20)
        assert more_units(-0.03, 0.1, 20, 0.02) == more_units(-0.03, 0.1, 20, None)  # to "worse"
        assert more_units(0.0, 0.1, 20, None) is None
        assert more_units(1e-9, 1.0, 20, None) is None  # more than anybody draws
        assert more_units(0.5, 0.0, 20, 0.02) == 1

    def test_so_many_units_do_show_it_in_four_of_five_runs(self) -> None:
        more = more_units(0.1, 1.0, 10, 0.3)
        assert more is not None
        runs = np.random.default_rng(0).normal(0.1, 1, (4000, 10 + more))
        shown = stats.ttest_1samp(runs, -0.3, axis=1, alternative="greater").pvalue < 0.025
        assert 0.78 <= shown.mean() <= 0.82


class TestCoverage:
    """Of 95 % intervals over 400 runs; 93 % allows for their standard error of one point."""

    @pytest.mark.parametrize(
        ("draw", "truth"),
        [
            (lambda rng, n: rng.normal(0.3, 1, n), 0.3),
            (lambda rng, n: rng.standard_t(3, n), 0.0),
            (lambda rng, n: np.round(rng.normal(0, 1.5, n)) / 12, 0.0),
            (lambda rng, n: rng.choice([-1.0, 0, 1], n, p=[0.1, 0.7, 0.2]), 0.1),
        ],
        ids=["normal", "heavy tails", "shares with ties", "mostly ties"],
    )
    @pytest.mark.parametrize("units", [12, 24])
    def test_intervals_cover_the_truth(self, draw: Draw, truth: float, units: int) -> None:
        rng, covered = np.random.default_rng(3), 0
        for _ in range(400):
            _, low, high = one_sample(draw(rng, units))
            covered += low <= truth <= high
        assert 0.93 <= covered / 400 <= 0.98
