"""Judges see what there is: real pictures score high, strangers low, failures nothing."""

import numpy as np
import pytest

from eval.ab.cases import SuiteCase, cases_of
from eval.ab.judging import NOTHING_SEEN, Jury, agreement
from eval.ab.kernel_distance import kernel, mean_of_pairs, terms
from eval.ab.suite import read_suite
from models import choose_device, open_bundle


@pytest.fixture(scope="module")
def jury() -> Jury:
    return Jury(open_bundle("mini"), choose_device("cpu"))


@pytest.fixture(scope="module")
def cases() -> list[SuiteCase]:
    suite = cases_of(read_suite("mini-quick"), 0, 128)
    return [suite[number] for number in range(8)]


def test_real_pictures_of_the_wish_obey_it_and_are_their_person(
    jury: Jury, cases: list[SuiteCase]
) -> None:
    real = [case.pictures.wished for case in cases]
    judged = jury.judge(cases, real)
    values = [values for values, _ in judged]
    assert np.mean([one["attributes"] for one in values]) > 0.95
    assert np.mean([one["identity"] for one in values]) > 0.6
    assert all(one["one_face"] == 1 for one in values)
    assert np.mean([one["text_agreement"] for one in values]) > 0.5


def test_pictures_of_others_are_told_apart(jury: Jury, cases: list[SuiteCase]) -> None:
    strangers = [case.pictures.wished for case in cases[1:] + cases[:1]]
    values = [values for values, _ in jury.judge(cases, strangers)]
    assert np.mean([one["identity"] for one in values]) < 0.3
    assert np.mean([one["attributes"] for one in values]) < 0.7


def test_a_copied_photo_is_called_copied(jury: Jury, cases: list[SuiteCase]) -> None:
    copied = [
        values["copy_paste"] for values, _ in jury.judge(cases, [c.pictures.photo for c in cases])
    ]
    other = [
        values["copy_paste"] for values, _ in jury.judge(cases, [c.pictures.other for c in cases])
    ]
    assert np.mean(copied) == pytest.approx(1.0, abs=1e-3)
    assert np.mean(other) == pytest.approx(-1.0, abs=1e-3)


def test_a_failure_scores_as_nobody_who_does_nothing(jury: Jury, cases: list[SuiteCase]) -> None:
    (values, seen), (there, _) = jury.judge(cases[:2], [None, cases[1].pictures.wished])
    assert {values[key] for key in ("identity", "one_face", "attributes", "text_agreement")} == {0}
    assert set(seen.values()) == {NOTHING_SEEN}
    assert there["one_face"] == 1


def test_only_what_was_asked_for_is_judged(jury: Jury, cases: list[SuiteCase]) -> None:
    for case, (values, _) in zip(
        cases, jury.judge(cases, [c.pictures.wished for c in cases]), strict=True
    ):
        judged = {key.partition(".")[2] for key in values if key.startswith("attributes.")}
        assert judged == set(case.asked)


def test_agreement_of_equal_pictures_is_whole_and_of_missing_ones_none() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert agreement(picture, picture) == {"psnr": 100.0, "ssim": 1.0}
    assert agreement(None, picture) == {"psnr": 0.0, "ssim": 0.0}
    assert agreement(None, None) == {}
    small = picture[::2, ::2]
    assert 0 < agreement(small, picture)["ssim"] < 1


def test_agreement_falls_with_noise() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(60, 200, (64, 64, 3)).astype(np.uint8)
    noisy = [
        np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)
        for sigma in (2, 8, 32)
    ]
    values = [agreement(one, picture) for one in noisy]
    assert values[0]["psnr"] > values[1]["psnr"] > values[2]["psnr"]
    assert values[0]["ssim"] > values[1]["ssim"] > values[2]["ssim"]


def kid(one: np.ndarray, other: np.ndarray) -> float:
    return mean_of_pairs(terms(one, other))


def test_kid_of_equal_sets_is_zero_and_grows_with_distance() -> None:
    rng = np.random.default_rng(2)
    one, other = (rng.normal(size=(40, 16)).astype(np.float32) for _ in range(2))
    one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, other))
    far = np.roll(np.abs(other), 1, axis=0)
    assert kid(one, one) == pytest.approx(0, abs=1e-12)
    assert abs(kid(one, other)) < kid(one, far / np.linalg.norm(far, axis=1, keepdims=True))


def test_kid_is_the_unbiased_estimate_written_out() -> None:
    rng = np.random.default_rng(3)
    one, other = (rng.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    within = [kernel(each, each) for each in (one, other)]
    between = kernel(one, other)
    expected = np.mean(
        [within[0][i, j] + within[1][i, j] - between[i, j] - between[j, i] for i, j in pairs]
    )
    assert kid(one, other) == pytest.approx(float(expected))
