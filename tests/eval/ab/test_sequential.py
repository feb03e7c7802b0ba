"""The test that may be looked at any time finds what is there, and not what is not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from eval.ab.sequential import MINIMUM_UNITS, confidence_sequence, e_bh, e_value
from eval.ab.statistics import Test as Kind
from eval.ab.statistics import TooFewUnits, false_discovery, p_value

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.one_of(
    arrays(np.float64, st.integers(1, 60), elements=FINITE),
    arrays(np.float64, st.integers(1, 60), elements=st.sampled_from([-1.0, 0.0, 1.0])),
    st.tuples(FINITE, st.integers(1, 60)).map(lambda pair: np.full(pair[1], pair[0])),
)
LOOKS, RUNS, ALLOWED = 19, 100, 0.05
CONTINUOUS, SHARES, RARE, METRICS = slice(0, 6), slice(6, 10), slice(10, 16), 18  # and two of zeros
KINDS: list[Kind] = ["Wilcoxon"] * 10 + ["sign"] * 6 + ["Wilcoxon"] * 2


def same_arm_twice(rng: np.random.Generator, units: int) -> np.ndarray:
    """Differences [units, 18] of an arm and itself: latent correlation 0.3, and every kind."""
    common = rng.normal(size=(units, 1))
    latent = math.sqrt(0.3) * common + math.sqrt(0.7) * rng.normal(size=(units, METRICS))
    made = np.zeros((units, METRICS))
    made[:, CONTINUOUS] = 0.05 * latent[:, CONTINUOUS]
    made[:, 4] = stats.t.ppf(stats.norm.cdf(latent[:, 4]), 2)  # tails without a variance
    made[:, 5] *= np.where(rng.random(units) < 0.02, 1000, 1)  # outliers
    made[:, SHARES] = np.round(np.array([0.6, 1, 2, 4]) * latent[:, SHARES]) / 12
    made[:, RARE] = np.sign(latent[:, RARE]) * (np.abs(latent[:, RARE]) > 1.96)
    return made


def looks(units: int) -> list[int]:
    return [int(point) for point in np.unique(np.linspace(1, units, LOOKS + 1)[1:].astype(int))]


class TestTheSameArmTwice:
    """Of 400 runs at most 5 % may find anything, whatever the number of people."""

    def test_nothing_is_found_at_once(self) -> None:
        found = {}
        for units in (12, 24, 48, 96):
            rng = np.random.default_rng(units)
            found[units] = sum(self._at_once(same_arm_twice(rng, units)) for _ in range(RUNS))
        assert sum(found.values()) <= ALLOWED * RUNS * 4, found

    @staticmethod
    def _at_once(columns: np.ndarray) -> bool:
        p = [p_value(column, kind) for column, kind in zip(columns.T, KINDS, strict=True)]
        return any(q is not None and q < 0.05 for q in false_discovery(p))

    def test_nothing_is_found_in_nineteen_looks(self) -> None:
        found = {}
        for units in (12, 24, 48, 96):
            rng = np.random.default_rng(units)
            runs = [same_arm_twice(rng, units) for _ in range(RUNS)]
            found[units] = sum(self._under_looks(columns) for columns in runs)
        assert sum(found.values()) <= ALLOWED * RUNS * 4, found

    @staticmethod
    def _under_looks(columns: np.ndarray) -> bool:
        planned = len(columns)
        return any(
            any(e_bh([e_value(column, planned=planned) for column in columns[:point].T]))
            for point in looks(planned)
        )

    def test_a_t_test_looked_at_nineteen_times_finds_what_is_not_there(self) -> None:
        """The control: these simulations can fail."""
        rng = np.random.default_rng(0)
        runs = rng.normal(size=(400, 96))
        points = [point for point in looks(96) if point > 1]
        p = np.array([stats.ttest_1samp(runs[:, :point], 0, axis=1).pvalue for point in points])
        assert (p < 0.05).any(axis=0).mean() > 0.15

    def test_the_intervals_cover_at_all_looks_at_once(self) -> None:
        for units in (24, 96):
            rng = np.random.default_rng(units)
            covered = np.zeros(METRICS)
            for _ in range(RUNS):
                columns = same_arm_twice(rng, units)
                for metric in (0, 4, 5, 7, 10):
                    ends = [
                        confidence_sequence(columns[:point, metric], planned=units)[1:]
                        for point in looks(units)
                    ]
                    covered[metric] += all(low <= 0 <= high for low, high in ends)
            assert covered[[0, 4, 5, 7, 10]].min() >= 0.95 * RUNS, covered


class TestWhatIsThere:
    def test_half_a_deviation_is_found_at_once_and_before_the_end(self) -> None:
        """Fixed: in 99 % of runs; sequential, of one metric: in 96 %, half of them by unit 45."""
        rng = np.random.default_rng(1)
        runs = rng.normal(0.5, 1, (200, 96))
        assert np.mean([p_value(run) < 0.05 for run in runs]) > 0.9
        first = [self._first(run, 20) for run in runs]
        assert np.isfinite(first).mean() > 0.9
        assert np.median(first) <= 50

    def test_it_is_found_among_eighteen_metrics_too(self) -> None:
        """One metric that moves among 17 that do not needs e of 360: in three of four runs."""
        rng = np.random.default_rng(2)
        first = [self._first(rng.normal(0.5, 1, 96), METRICS / 0.05) for _ in range(200)]
        assert np.isfinite(first).mean() > 0.65

    @staticmethod
    def _first(run: np.ndarray, needed: float) -> float:
        reached = (point for point in looks(96) if e_value(run[:point], planned=96) >= needed)
        return next(reached, math.inf)

    @pytest.mark.parametrize("chance", [0.05, 0.2, 0.8])
    @pytest.mark.parametrize("bound", [None, 1.0])
    def test_what_rarely_happens_on_one_side_is_covered(
        self, chance: float, bound: float | None
    ) -> None:
        """No symmetry, and often no variance seen for long."""
        rng = np.random.default_rng(4)
        covered = 0
        for _ in range(200):
            run = (rng.random(96) < chance) * 1.0
            ends = [confidence_sequence(run[:n], planned=96, bound=bound)[1:] for n in looks(96)]
            covered += all(low <= chance <= high for low, high in ends)
        assert covered / 200 >= 0.95


class TestLittleKnown:
    def test_before_the_burn_in_nothing_is_said(self) -> None:
        few = np.arange(5.0, 5 + MINIMUM_UNITS - 1)
        assert confidence_sequence(few, planned=96)[1:] == (-math.inf, math.inf)
        assert e_value(few, planned=96) == e_value(np.array([]), planned=96) == 1.0
        with pytest.raises(TooFewUnits):
            confidence_sequence(np.array([]), planned=96)

    def test_one_difference_after_eight_zeros_decides_nothing(self) -> None:
        values = np.append(np.zeros(MINIMUM_UNITS), 1.0)
        assert e_value(values, planned=96) < 1
        later = np.append(np.zeros(29), 1.0)
        _, low, high = confidence_sequence(later, planned=96)
        assert low < 0 < 3 / 30 < high

    def test_what_has_not_varied_has_no_interval_unless_it_is_bounded(self) -> None:
        assert confidence_sequence(np.zeros(50), planned=96) == (0.0, -math.inf, math.inf)
        mean, low, high = confidence_sequence(np.zeros(50), planned=96, bound=1.0)
        assert (mean, low) == (0.0, -high)
        assert high == pytest.approx(3 / 50, rel=0.05)  # the rule of three
        assert (1 - high) ** 50 == pytest.approx(0.05)
        _, low, high = confidence_sequence(np.full(50, 0.5), planned=96, bound=1.0)
        assert 0.5 - low == pytest.approx(3 * (high - 0.5))  # there is three times the room below

    def test_zeros_are_no_evidence_and_a_row_of_wins_is_only_as_much_as_of_coins(self) -> None:
        assert e_value(np.zeros(50), planned=96) == 1.0
        for units in range(MINIMUM_UNITS, 60):
            assert e_value(np.full(units, 0.1), planned=96) < 2 ** (units - 1)


class TestWhatMustHold:
    @settings(deadline=None, max_examples=200)
    @given(ROWS, st.integers(1, 500), st.sampled_from([None, 1.0]))
    def test_whatever_the_numbers_nothing_is_nan(
        self, values: np.ndarray, planned: int, bound: float | None
    ) -> None:
        clipped = values if bound is None else np.clip(values, -1, 1)
        mean, low, high = confidence_sequence(clipped, planned=planned, bound=bound)
        assert math.isfinite(mean)
        assert low <= mean <= high
        assert 0 <= e_value(values, planned=planned) < math.inf

    @settings(deadline=None, max_examples=100)
    @given(ROWS, st.sampled_from([-40, -1, 30]))
    def test_neither_unit_nor_sign_matters(self, values: np.ndarray, exponent: int) -> None:
        values = np.clip(values, -1e100, 1e100)
        values[np.abs(values) < 1e-100] = 0
        mean, low, high = confidence_sequence(values, planned=60)
        scaled = confidence_sequence(np.ldexp(values, exponent), planned=60)
        assert scaled == tuple(math.ldexp(end, exponent) for end in (mean, low, high))
        assert confidence_sequence(-values, planned=60) == (-mean, -high, -low)
        e = e_value(values, planned=60)
        assert e_value(np.ldexp(values, exponent), planned=60) == e == e_value(-values, planned=60)

    def test_the_mean_e_value_of_coins_is_at_most_one_at_any_unit(self) -> None:
        """Not by simulation: over all 4096 signs of twelve units whose sizes differ wildly."""
        sizes = np.array([1, 0, 3, 3, 0.1, 10, 1, 1, 100, 2, 2, 5.0])
        signs = 1 - 2 * (np.arange(4096)[:, None] >> np.arange(12) & 1)
        for units in (8, 10, 12):
            e = [e_value(row[:units], planned=12) for row in signs * sizes]
            assert np.mean(e) <= 1
        stopped = [  # at the first unit that looks good, or at the end
            next((e for n in range(8, 13) if (e := e_value(row[:n], planned=12)) > 1.5), e)
            for row in signs * sizes
            if (e := e_value(row, planned=12)) >= 0
        ]
        assert np.mean(stopped) <= 1

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 1e6), max_size=20), st.sampled_from([0.01, 0.05, 0.2]))
    def test_what_falls_is_the_largest_and_nothing_without_evidence(
        self, e_values: list[float], alpha: float
    ) -> None:
        fallen = e_bh(e_values, alpha)
        kept = [e for e, gone in zip(e_values, fallen, strict=True) if not gone]
        gone = [e for e, gone in zip(e_values, fallen, strict=True) if gone]
        assert not gone or not kept or min(gone) > max(kept)
        assert all(e * alpha * len(gone) >= len(e_values) * (1 - 1e-12) for e in gone)
        if e_values and max(e_values) * alpha > len(e_values):
            assert gone
        stricter, fewer = e_bh(e_values, alpha / 2), e_bh([*e_values, 0.0], alpha)
        assert all(now or not before for now, before in zip(fallen, stricter, strict=True))
        assert all(now or not before for now, before in zip(fallen, fewer[:-1], strict=True))

    def test_e_bh_is_bh_of_inverse_e_values(self) -> None:
        e_values = np.random.default_rng(0).lognormal(3, 2, 30)
        q = stats.false_discovery_control(np.minimum(1, 1 / e_values))
        assert e_bh(list(e_values)) == list(q <= 0.05)
