"""Measuring a whole bundle: every bar has its figure, every sheet its file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval import Card, read_card
from eval.bench import Bench, Extent, look_at
from eval.cost import CostUnmeasured, measure_cost
from eval.few_steps import few_steps_chapters
from eval.measure import measure_card, open_bench
from eval.mixtures import WEIGHTS, Mixture, mixtures_chapter
from eval.people import held_out_people, snapshot
from eval.trials import restore, run_trials

# About twenty seconds of one core; a machine that is busy elsewhere may take its time.
pytestmark = pytest.mark.timeout(900)

BARRED = {
    "recogniser_auc", "recogniser_tar", "recogniser_auc_detector", "detector_recall",
    "detector_false", "detector_landmarks", "autoencoder_psnr", "autoencoder_identity",
    "identity_auc", "identity_top_1", "identity_of_ceiling", "one_face", "one_face_eyes",
    "attributes_mean", "attributes_least", "colours_bound", "mixture_follows", "target_nearer",
    "target_outside", "target_of_ceiling", "target_pose", "target_expression",
    "few_cosine_change", "few_attributes_change", "parity", "seconds_portrait", "seconds_cold",
    "memory",
}  # fmt: skip
LEAST = Extent(
    recogniser_people=4, recogniser_pictures=2, groups=4, portraits=4, gallery=3, pairs=2,
    targets=2, poses=6, parity_pictures=1, timed_pictures=1, sheet_people=1, sheet_words=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Path]:
    directory = tmp_path_factory.mktemp("card")
    return measure_card(tiny_bundle, directory, extent=LEAST), directory


@pytest.fixture(scope="module")
def bench(tiny_bundle: Path) -> Bench:
    return open_bench(tiny_bundle, LEAST)


def test_every_bar_of_the_bundle_has_a_figure(measured: tuple[Card, Path]) -> None:
    card, directory = measured
    assert {figure.key for figure in card.figures() if figure.bar is not None} == BARRED
    assert read_card(directory) == card
    assert (directory / "card.md").read_text(encoding="utf-8").startswith("# Card of the bundle")


def test_every_sample_sheet_is_a_picture(measured: tuple[Card, Path]) -> None:
    card, directory = measured
    samples = [sample for chapter in card.chapters for sample in chapter.samples]
    assert len(samples) == 5
    for sample in samples:
        with Image.open(directory / sample.file) as page:
            assert min(page.size) > 200


def test_even_random_weights_draw_what_diffusers_draws(measured: tuple[Card, Path]) -> None:
    parity = measured[0].figure("parity")
    assert parity.holds
    assert parity.count == 4


def test_every_bar_of_a_share_has_a_ceiling_and_an_interval(measured: tuple[Card, Path]) -> None:
    new = ("one_face_eyes", "colours_bound", "target_pose", "target_expression")
    assert measured[0].figure("target_pose_unsaid").bar is None
    for figure in (measured[0].figure(key) for key in (*new, "few_cosine_change")):
        assert figure.ceiling is not None
        assert figure.interval is not None


def test_few_steps_are_left_out_where_a_bundle_knows_none(bench: Bench) -> None:
    manifest = bench.bundle.manifest
    silent = manifest.model_copy(
        update={"defaults": manifest.defaults.model_copy(update={"few_steps": None})}
    )
    plain = replace(bench, bundle=replace(bench.bundle, manifest=silent))
    trials = run_trials(bench)
    assert few_steps_chapters(plain, trials) == ()
    (chapter,) = few_steps_chapters(bench, trials)
    assert "2 steps of dpm++2m, instead of 3" in chapter.method


def test_the_rest_of_a_target_stays_untouched(measured: tuple[Card, Path]) -> None:
    assert measured[0].figure("target_outside").holds


def test_time_and_memory_are_those_of_a_process_that_drew(measured: tuple[Card, Path]) -> None:
    card, _ = measured
    assert 0 < card.figure("seconds_portrait").value < card.figure("seconds_cold").value
    assert card.figure("memory").value > 50


def test_a_picture_without_a_face_is_like_nobody(bench: Bench) -> None:
    black = np.zeros((128, 128, 3), dtype=np.uint8)
    (person,) = held_out_people(1)
    photo = snapshot(person, np.random.default_rng(0)).image
    seen = look_at(bench, [black, photo])
    assert seen.counts.tolist() == [0, 1]
    assert not seen.embeddings[0].any()
    assert np.linalg.norm(seen.embeddings[1]) == pytest.approx(1, abs=1e-5)


def test_the_autoencoder_keeps_shape_and_order(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (128, 128, 3), dtype=np.uint8) for _ in range(3)]
    together = restore(bench, images)
    assert [image.shape for image in together] == [(128, 128, 3)] * 3
    alone = restore(bench, images[1:2])[0]
    assert np.abs(together[1].astype(int) - alone.astype(int)).max() <= 2


class TestFollowingWeights:
    def mixture(self, to_first: list[float], to_second: list[float]) -> Mixture:
        (person,) = held_out_people(1)
        photo = snapshot(person, np.random.default_rng(0), 64)
        first, second = np.array(to_first, np.float32), np.array(to_second, np.float32)
        return Mixture(photo, photo, (photo.image,) * len(WEIGHTS), first, second)

    def test_both_must_rise_with_their_weight(self) -> None:
        assert self.mixture([0.1, 0.2, 0.3, 0.4], [0.5, 0.4, 0.3, 0.1]).follows
        assert self.mixture([0.1, 0.3, 0.2, 0.4], [0.5, 0.4, 0.3, 0.1]).follows
        assert not self.mixture([0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.4, 0.5]).follows
        assert not self.mixture([0.2, 0.2, 0.2, 0.2], [0.5, 0.4, 0.3, 0.1]).follows

    def test_the_share_counts_pairs(self) -> None:
        good = self.mixture([0.1, 0.2, 0.3, 0.4], [0.5, 0.4, 0.3, 0.1])
        bad = self.mixture([0.4, 0.2, 0.3, 0.1], [0.5, 0.4, 0.3, 0.1])
        figures = {figure.key: figure for figure in mixtures_chapter([good, bad]).figures}
        assert figures["mixture_follows"].value == 0.5


def test_a_cost_that_could_not_be_measured_says_why(tmp_path: Path) -> None:
    with pytest.raises(CostUnmeasured, match="bundle"):
        measure_cost(tmp_path / "nowhere", 1)
